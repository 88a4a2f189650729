"""Events to make bodies of, and what was made of them."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from bridge.bodies.body import Body, Build
from bridge.bodies.builder import builder
from bridge.core.delivery import Answer, Fault
from bridge.core.event import Event, Message
from tests.support.publishers import FOLDER

VECTORS = Path(__file__).parents[1] / "data" / "vectors"
SPLYNX = FOLDER / "splynx"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
# What parsers of publishers' bodies, and header tables, can come to; `object` stands for what nobody expects.
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.builds(object),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def event(
    body: bytes,
    data: Any = None,
    content_type: str | None = None,
    content_encoding: str | None = None,
    *,
    fmt: str = "json",
    headers: Any = None,
    **fields: Any,
) -> Event:
    message = Message(
        body=body, content_type=content_type, content_encoding=content_encoding, headers=headers or {}
    )
    known: dict[str, Any] = {
        "id": "01987a5c",
        "source": "s",
        "type": "customers.create",
        "received_at": 1741940813.25,
        "time": "2025-03-14T09:26:53+01:00",
        "identity": "webmaster",
    }
    return Event(format=fmt, message=message, data=data, **(known | fields))


def parsed(value: Any, *, fmt: str = "json", **fields: Any) -> Event:
    """An event whose body says `value`, which is its data too."""
    return event(json.dumps(value).encode(), value, fmt=fmt, **fields)


def splynx(name: str) -> Event:
    """A Splynx message as it is decoded: the body whole, as data only the inner object."""
    body = (SPLYNX / f"{name}.json").read_bytes()
    return event(body, json.loads(body)["data"], fmt="splynx")


def build(kind: str | None, profile: str = "none", *, template: str | None = None) -> Build:
    return builder(kind, profile, hook="deploy", template=template)


def built_by(make: Build, sent: Event) -> Body:
    built = make(sent)
    assert isinstance(built, Body), built
    return built


def refusal(make: Build, sent: Event) -> str:
    """Why nothing can be made of the event, now or later."""
    answer = make(sent)
    assert isinstance(answer, Answer)
    assert answer.fault is Fault.CONTENT
    assert answer.lasting
    return answer.error
