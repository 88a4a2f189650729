"""One message that holds several events becomes all of them, each with its own bytes and ids."""

import gzip
import itertools
import json
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.core.event import Event, Message, Received, Source, Undecodable
from bridge.formats.decoder import MAX_EVENTS, Decoder
from bridge.formats.registry import content_of

FIRST = b'{"specversion":"1.0","type":"a.b","source":"/s","id":"1", "data" : {"n":123456789012345678901}}'
SECOND = b'{"specversion":"1.0","type":"c.d","source":"/s","id":"2","data":"\\ud83d"}'
BATCH = b" [" + FIRST + b" ,\n" + SECOND + b"] "
BATCH_TYPE = "application/cloudevents-batch+json; charset=utf-8"


def decode(message: Message, **options: Any) -> Received:
    ids = itertools.count(1)
    source = Source.model_validate({"name": "crm", "queue": "q", "format": options.pop("form", "auto")})
    return Decoder(source, **options).decode(message, new_id=lambda: f"id{next(ids)}", received_at=1.5)


def batch(message: Message, **options: Any) -> Received:
    found = decode(message, **options)
    assert found.is_batch
    return found


def test_each_event_of_a_batch_has_its_own_bytes_and_ids():
    events = batch(Message(BATCH, content_type=BATCH_TYPE, message_id="m", headers={"own": 1})).events
    assert [event.message.body for event in events] == [FIRST, SECOND]
    assert [event.type for event in events] == ["a.b", "c.d"]
    assert [event.id for event in events] == ["id1", "id2"]
    assert [event.format for event in events] == ["cloudevents"] * 2
    assert [event.data for event in events] == [{"n": 123456789012345678901}, "\ud83d"]
    assert len({event.publisher_id for event in events}) == len({event.webhook_id for event in events}) == 2
    assert all(event.message.headers == {"own": 1} for event in events)
    assert all("batch" not in (event.message.content_type or "") for event in events)


def test_an_event_of_a_batch_alone_is_the_same_event():
    among, alone = batch(Message(BATCH, content_type=BATCH_TYPE)).events[0], decode(
        Message(FIRST, content_type="application/cloudevents+json; charset=utf-8")
    ).event  # fmt: skip
    assert alone == among


def test_webhook_ids_survive_a_redelivery_of_the_batch():
    message = Message(BATCH, content_type=BATCH_TYPE)
    first, again = batch(message).events, batch(message).events
    assert [event.webhook_id for event in first] == [event.webhook_id for event in again]


def test_events_that_have_only_the_messages_id_are_told_apart():
    event = b'{"type":"task-succeeded","timestamp":1746428889.5,"hostname":"h"}'
    message = Message(b"[" + event + b"," + event + b"]", exchange="celeryev", message_id="m")
    first, second = batch(message).events
    assert first.publisher_id == second.publisher_id == "m"
    assert first.webhook_id != second.webhook_id


def test_a_list_of_celery_events_is_split():
    listed = [{"type": kind, "hostname": "w", "timestamp": 1.5} for kind in ("task-sent", "task-succeeded")]
    message = Message(json.dumps(listed).encode(), exchange="celeryev", headers={"hostname": "w"})
    assert [event.type for event in batch(message).events] == ["task-sent", "task-succeeded"]


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b"", b"{}", b"null", b"[", b"no json"])
def test_an_empty_batch_and_one_that_is_none_is_an_event_all_the_same(body):
    event = decode(Message(body, content_type=BATCH_TYPE)).event
    assert isinstance(event, Event)
    assert event.message.body == body


def test_events_of_a_compressed_batch_are_not_compressed():
    message = Message(gzip.compress(BATCH), content_type=BATCH_TYPE, content_encoding="gzip")
    events = batch(message).events
    assert [event.message.body for event in events] == [FIRST, SECOND]
    assert {event.message.content_encoding for event in events} == {None}
    assert content_of(events[0].message, events[0].format).data == events[0].data


def test_of_a_batch_only_what_does_not_fit_is_refused():
    found = batch(
        Message(BATCH, content_type=BATCH_TYPE),
        misfit=lambda data: "$.id: bad" if data["id"] == "1" else None,
    )
    assert [event.type for event in found.events] == ["c.d"]
    (refused,) = found.refused
    assert refused.message.body == FIRST
    assert refused.why == Undecodable("schema_mismatch", "$.id: bad")


def test_a_batch_without_end_is_refused_before_it_is_split():
    body = b"[" + b"{}," * MAX_EVENTS + b"{}]"
    [refused] = decode(Message(body, content_type=BATCH_TYPE)).refused
    assert refused.why == Undecodable("batch_too_large", "the message holds 10001 events, the limit is 10000")


def test_a_long_list_that_is_no_batch_is_one_event():
    body = b"[" + b"1," * MAX_EVENTS + b"1]"
    assert decode(Message(body)).event
    assert decode(Message(body, headers={"cloudEvents:specversion": "1.0"})).event


@dataclass(frozen=True)
class Vouched:
    event_type: str | None = None
    identity: str | None = "crm-bot"


class WholeMessagesOnly:
    """Vouches for the message as it was published, as the proof of an inlet does."""

    def read(self, message: Message) -> Vouched | None:
        return Vouched() if message.body == BATCH else None


def test_what_an_inlet_vouches_for_holds_for_every_event_of_the_batch():
    message = Message(BATCH, content_type=BATCH_TYPE, headers={"x-bridge-inlet": {}})
    events = batch(message, arrivals=WholeMessagesOnly()).events
    assert [(event.type, event.identity) for event in events] == [("a.b", "crm-bot"), ("c.d", "crm-bot")]
