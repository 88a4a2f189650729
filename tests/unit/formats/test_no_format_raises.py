"""Whatever a body and its headers hold, every format makes an event of it."""

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Decoded, Message
from bridge.formats.parse import parse
from bridge.formats.registry import FORMATS, recognise
from tests.support.events import NASTY_BODIES
from tests.support.publishers import FOLDER, decoded, message

ZONE = ZoneInfo("America/New_York")
KEYS = st.sampled_from(
    [
        "type",
        "call",
        "data",
        "model",
        "action",
        "date",
        "time",
        "event_type",
        "payload",
        "occurred_at",
        "event_id",
        "delivery_id",
        "timestamp",
        "event",
        "hook",
        "backend",
        "args",
        "specversion",
        "source",
        "id",
        "data_base64",
        "task",
        "kwargs",
        "eta",
        "hostname",
        "utcoffset",
        "messageType",
        "message",
        "messageId",
        "sentTime",
        "displayName",
        "job",
        "@class",
        "oslo.message",
        "oslo.version",
        "publisher_id",
        "priority",
        "message_id",
        "_context_auth_token",
        "op",
        "schema",
        "table",
        "db",
        "ts_ms",
        "object_kind",
        "event_name",
        "object_attributes",
        "updated_at",
        "project_id",
        "created_at",
    ]
)
HEADERS = st.sampled_from(
    [
        "cloudEvents:specversion",
        "cloudEvents_type",
        "ce-id",
        "ce_time",
        "CE-SOURCE",
        "task",
        "id",
        "lang",
        "eta",
        "MT-MessageType",
        "MessageId",
        "NServiceBus.EnclosedMessageTypes",
        "NServiceBus.TimeSent",
        "NServiceBus.MessageId",
        "__TypeId__",
        "contentType",
        "timestamp",
        "laravel",
        "X-Gitlab-Event",
        "timestamp_in_ms",
        "x-death",
    ]
)
TEXTS = st.text(st.characters(codec=None), max_size=8) | st.sampled_from(
    ["2025-05-05T07:08:09Z", "9999-12-31T23:59:59-12:00", "urn:message:A:B", "c", "{}", "a;b,c", "push"]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([1746428889, 1746428889123, 10**400, -(10**400)])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS


def _values(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | TEXTS, inner, max_size=8),
        max_leaves=15,
    )


BODIES = _values(SCALARS, KEYS)
TABLES = st.dictionaries(
    HEADERS | TEXTS,
    _values(
        SCALARS | st.binary(max_size=5) | st.datetimes() | st.just(Decimal("1.5")) | st.datetimes(timezones=st.just(UTC)),
        KEYS,
    ),
    max_size=6,
)  # fmt: skip
PROPERTIES = st.fixed_dictionaries(
    {
        "content_type": st.none()
        | TEXTS
        | st.sampled_from(
            [
                "application/cloudevents-batch+json",
                "application/cloudevents+json; a=b",
                "application/x-www-form-urlencoded",
                "application/x-msgpack",
                "application/vnd.masstransit+json",
                "application/x-java-serialized-object",
            ]
        ),
        "app_id": st.none() | st.just("Keycloak"),
        "exchange": st.just("") | st.just("celeryev"),
        "routing_key": TEXTS | st.just("KK.EVENT.CLIENT.x"),
        "timestamp": st.none() | st.just(datetime(2025, 5, 5, tzinfo=UTC)),
    }
)
SAMPLES = [path.stem for path in sorted(FOLDER.glob("*.json"))]


def read_by_all(data: Any, message: Message) -> None:
    """Read and split by every format, and see that what comes out is what an event may hold."""
    assert recognise(data, message) in FORMATS
    for form in FORMATS.values():
        found = form.read(data, message, ZONE)
        assert isinstance(found, Decoded)
        for told in (found.type, found.time, found.publisher_id):
            assert told is None or isinstance(told, str)
        for single in form.split(data, message) or () if form.split else ():
            assert isinstance(single.body, bytes)


def changed(draw: st.DrawFn, value: Any) -> Any:
    """The same with one thing in it gone or of another kind."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.booleans()):
            return {other: item for other, item in value.items() if other != key}
        return value | {key: changed(draw, value[key])}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [changed(draw, value[0]), *value[1:]]
    return draw(BODIES)


@given(BODIES, TABLES, PROPERTIES)
def test_no_body_and_no_headers_make_any_format_raise(body, headers, properties):
    raw = json.dumps(body).encode()
    read_by_all(body, Message(body=raw, headers=headers, **properties))
    read_by_all(parse(raw), Message(body=raw, headers=headers, **properties))


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_a_sample_with_something_changed_is_still_read(name, data):
    known = message(name)
    body = data.draw(st.composite(changed)(parse(known.body)))
    headers = data.draw(st.composite(changed)(copy.deepcopy(dict(known.headers))))
    read_by_all(
        body,
        Message(
            body=json.dumps(body).encode(),
            headers=headers if isinstance(headers, dict) else {},
            content_type=known.content_type,
            routing_key=known.routing_key,
            exchange=known.exchange,
        ),
    )


@pytest.mark.parametrize("body", NASTY_BODIES.values(), ids=NASTY_BODIES)
@pytest.mark.parametrize("form", ["auto", *FORMATS])
def test_a_nasty_body_is_an_event(body, form):
    headers = {**message("cloudevents_binary").headers, "__TypeId__": b"\xff", "task": "t", "id": None}
    tables: tuple[dict[str, Any], ...] = ({}, headers)
    for table in tables:
        found = decoded(Message(body=body, headers=table, routing_key="rk"), form).event
        assert found is not None
        assert found.message.body == body


@given(st.binary(max_size=60), TABLES, st.sampled_from(["auto", *FORMATS]))
def test_bytes_are_an_event_in_every_format(body, headers, form):
    headers = {name: value for name, value in headers.items() if name.isascii()}
    decoded(Message(body=body, headers=headers, routing_key="rk"), form)
