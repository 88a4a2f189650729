"""An event as CEL sees it, cut down to what the expressions at hand can look at."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NewType

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.model.event import Event
from bridge.rules.routing.values import is_plain, plain, text

# Each field is a variable of its own with a dotted name, which CEL resolves like the field of an object: so
# an unknown one is an error at compile time, and a value is converted only if the expression comes to it.
FIELDS: Mapping[str, cel.Type] = {
    "id": cel.Type.STRING,
    "publisher_id": cel.Type.DYN,  # text or null
    "type": cel.Type.STRING,
    "source": cel.Type.STRING,
    "time": cel.Type.DYN,  # text or null
    "received_at": cel.Type.TIMESTAMP,
    "data": cel.Type.DYN,
    "headers": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "format": cel.Type.STRING,
    "identity": cel.Type.DYN,  # text or null
}

ENVIRONMENT = cel.NewEnv(variables={f"event.{name}": kind for name, kind in FIELDS.items()})

Facts = NewType("Facts", object)
"""One event, ready for expressions; what is converted for the first serves all that are asked about it."""

Read = Callable[[Event], Any]

_READ: Mapping[str, Read] = {
    "id": lambda event: event.id,
    "publisher_id": lambda event: event.publisher_id and text(event.publisher_id),
    "type": lambda event: event.type,
    "source": lambda event: event.source,
    "time": lambda event: event.time,
    "received_at": lambda event: datetime.fromtimestamp(event.received_at, UTC),
    "headers": lambda event: plain(event.message.headers) if event.message.headers else {},
    "format": lambda event: event.format,
    "identity": lambda event: event.identity and text(event.identity),
}

_ANY_USE_OF_DATA = re.compile(r"\bevent\s*\.\s*data\b")
_USE_OF_A_KEY = re.compile(r"\bevent\.data\.([A-Za-z_]\w*)\b(?!\s*\()")


class View:
    """The part of an event that some expressions can look at.

    `keys` are those of the outermost object of `data`, None stands for all of it. The engine converts whole
    values, so that without this one key of a large document costs milliseconds.
    """

    __slots__ = ("_reads", "fields", "keys")

    def __init__(self, fields: frozenset[str], keys: frozenset[str] | None) -> None:
        self.fields = fields
        self.keys = keys
        reads = {**_READ, "data": _reader_of(keys)}
        self._reads = tuple((f"event.{name}", reads[name]) for name in FIELDS if name in fields)

    @classmethod
    def union(cls, views: Collection["View"]) -> "View":
        """What any of these views shows."""
        keys = [view.keys for view in views]
        whole = None in keys
        return cls(
            frozenset().union(*(view.fields for view in views)),
            None if whole else frozenset().union(*(each for each in keys if each)),
        )

    def of(self, event: Event) -> Facts:
        """The event as far as this view goes."""
        return Facts(ENVIRONMENT.Activation({name: read(event) for name, read in self._reads}))


def view_for(source: str) -> View:
    """A view that shows at least what the expression `source` looks at."""
    fields = frozenset(name for name in FIELDS if name in source)
    keys = _USE_OF_A_KEY.findall(source)
    # Comments and quoted names could part `event` and `data` so that the count misses a use
    certain = "//" not in source and "`" not in source and len(keys) == len(_ANY_USE_OF_DATA.findall(source))
    return View(fields, frozenset(keys) if certain else None)


def _reader_of(keys: frozenset[str] | None) -> Read:
    def read(event: Event) -> Any:
        data = event.data
        if keys is not None and isinstance(data, dict):
            data = {key: data[key] for key in keys if key in data}
        return data if is_plain(data) else plain(data)

    return read
