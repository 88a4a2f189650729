"""An event as CEL sees it, cut down to what the expressions at hand can look at."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NewType

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.model.event import Event
from bridge.rules.formats.envelope import attributes_of, envelope_of
from bridge.rules.routing.values import plain, shown, text

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
    "envelope": cel.Type.DYN,
    "attributes": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
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
    "attributes": lambda event: plain(attributes_of(event)),
}
# Those that may be large, and how to come by them.
_WHOLES: Mapping[str, Read] = {"data": lambda event: event.data, "envelope": envelope_of}

Keys = frozenset[str] | None
"""Keys of the outermost object of a value, None stands for all of it."""

_ANY_USE = {name: re.compile(rf"\bevent\s*\.\s*{name}\b") for name in FIELDS}
_USE_OF_A_KEY = {name: re.compile(rf"\bevent\.{name}\.([A-Za-z_]\w*)\b(?!\s*\()") for name in _WHOLES}


class View:
    """The part of an event that some expressions can look at.

    `keys` are those of `data` and `envelope`. The engine converts whole values, so that without this one key of a
    large document costs milliseconds.
    """

    __slots__ = ("_reads", "fields", "keys")

    def __init__(self, fields: frozenset[str], keys: Mapping[str, Keys]) -> None:
        self.fields = fields
        self.keys = keys
        reads = {**_READ, **{name: _reader_of(whole, keys[name]) for name, whole in _WHOLES.items()}}
        self._reads = tuple((f"event.{name}", reads[name]) for name in FIELDS if name in fields)

    @classmethod
    def union(cls, views: Collection["View"]) -> "View":
        """What any of these views shows."""
        return cls(
            frozenset().union(*(view.fields for view in views)),
            {name: _all_of([view.keys[name] for view in views]) for name in _WHOLES},
        )

    def of(self, event: Event) -> Facts:
        """The event as far as this view goes."""
        return Facts(ENVIRONMENT.Activation({name: read(event) for name, read in self._reads}))


def view_for(source: str) -> View:
    """A view that shows at least what the expression `source` looks at."""
    # Comments and quoted names could part `event` and `data` so that a use is missed
    certain = "//" not in source and "`" not in source
    used = {name: _ANY_USE[name].findall(source) if certain else [name] * (name in source) for name in FIELDS}
    fields = frozenset(name for name, uses in used.items() if uses)
    return View(
        fields, {name: _keys_in(source, name, len(used[name])) if certain else None for name in _WHOLES}
    )


def _keys_in(source: str, name: str, uses: int) -> Keys:
    keys = _USE_OF_A_KEY[name].findall(source)
    return frozenset(keys) if len(keys) == uses else None


def _all_of(keys: Sequence[Keys]) -> Keys:
    return None if None in keys else frozenset[str]().union(*(each for each in keys if each))


def _reader_of(whole: Read, keys: Keys) -> Read:
    def read(event: Event) -> Any:
        value = whole(event)
        if keys is not None and isinstance(value, dict):
            value = {key: value[key] for key in keys if key in value}
        elif keys is not None and isinstance(value, (list, str)):
            value = type(value)()  # no expression at hand looks into it
        return shown(value)

    return read
