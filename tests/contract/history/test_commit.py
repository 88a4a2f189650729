"""What a commit leaves in the database, whichever it is."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, event

from bridge.core.delivery import Entry, Record, Skipped, Status, Unmatched, status_after
from bridge.core.ports import History
from bridge.db.rows import original
from bridge.history.history import SqlHistory
from tests.support.events import NASTY_BODIES
from tests.support.records import NOW, a_delivery, an_event, delivered, in_quarantine, look, newest, waiting


def test_it_is_what_the_pipeline_asks_for(history: SqlHistory):
    port: History = history
    assert port


async def test_a_success_is_an_event_a_delivery_and_an_attempt(history: SqlHistory, history_url: str):
    event_ = an_event(
        type="customers.edit", publisher_id="m-1", time="2025-05-05T07:08:09Z", identity="webmaster",
        exchange="ex", routing_key="hooks2", content_type="application/json", headers={"X-Event": "edit", "n": 2},
        timestamp=datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC), redelivered=True,
    )  # fmt: skip
    record = delivered(a_delivery(event_), at=NOW + 1)

    assert await history.commit([record]) == []

    columns = "source, type, format, publisher_id, webhook_id, time, received_at, identity, exchange, routing_key, body, escaped"
    assert await look(history_url, f"SELECT {columns} FROM events") == [
        ("splynx", "customers.edit", "splynx", "m-1", "wh_1", "2025-05-05T07:08:09Z", NOW, "webmaster", "ex", "hooks2",
         b'{"a":1}', None)
    ]  # fmt: skip
    ((properties, headers),) = await look(history_url, "SELECT properties, headers FROM events")
    assert json.loads(headers) == {"X-Event": "edit", "n": 2}
    assert json.loads(properties) == {
        "content_type": "application/json",
        "timestamp": "2025-05-05T07:08:09+00:00",
        "redelivered": True,
    }
    columns = "hook, target, status, reason, generation, attempts, created_at, updated_at, next_attempt_at"
    assert await look(history_url, f"SELECT {columns} FROM deliveries") == [
        ("crm", "webhook", "SUCCESS", "", 1, 1, NOW, NOW + 1, None)
    ]
    columns = "generation, number, started_at, duration_ms, outcome, status_code, response, error, escaped"
    assert await look(history_url, f"SELECT {columns} FROM attempts") == [
        (1, 1, NOW + 1, 12.5, "delivered", 200, "ok", "", None)
    ]
    linked = "SELECT count(*) FROM events e JOIN deliveries d ON d.event_id = e.id JOIN attempts a ON a.delivery_id = d.id"
    assert await look(history_url, linked) == [(1,)]


async def test_nothing_to_commit_is_no_trouble(history: SqlHistory):
    assert await history.commit([]) == []


async def test_an_event_for_several_hooks_is_written_once(history: SqlHistory, history_url: str):
    event_ = an_event()
    records = [delivered(a_delivery(event_, hook=f"hook-{number}")) for number in range(3)]

    assert await history.commit(records) == []

    assert await look(history_url, "SELECT count(*) FROM events") == [(1,)]
    assert await look(history_url, "SELECT count(*) FROM deliveries") == [(3,)]


async def test_an_event_that_no_hook_asked_for_has_a_row_of_its_own(history: SqlHistory, history_url: str):
    await history.commit([Unmatched(an_event())])

    assert await look(history_url, "SELECT type FROM events") == [("customers.create",)]
    assert await look(history_url, "SELECT * FROM deliveries") == []


async def test_a_skipped_delivery_has_no_attempt(history: SqlHistory, history_url: str):
    delivery = a_delivery()
    status = status_after(Skipped("hook_disabled"), delivery)
    await history.commit([Record(delivery, "script", status, "hook_disabled", NOW)])

    assert await look(history_url, "SELECT status, reason, attempts FROM deliveries") == [
        ("SKIPPED", "hook_disabled", 0)
    ]
    assert await look(history_url, "SELECT * FROM attempts") == []


async def test_a_message_in_quarantine_is_kept_whole(history: SqlHistory, history_url: str):
    entry = in_quarantine(detail="no JSON \0 at all")
    await history.commit([entry, entry])
    await history.commit([entry])

    columns = "source, reason, detail, quarantined_at, body, escaped"
    assert await look(history_url, f"SELECT {columns} FROM quarantine") == [
        ("splynx", "undecodable", "no JSON \\x00 at all", NOW, b"\xff", "detail")
    ]


@pytest.mark.parametrize("body", NASTY_BODIES.values(), ids=NASTY_BODIES)
async def test_a_body_is_kept_byte_for_byte(body: bytes, history: SqlHistory, history_url: str):
    assert await history.commit([delivered(a_delivery(an_event(body=body)), response=body)]) == []

    assert await look(history_url, "SELECT body FROM events") == [(body,)]
    ((response, escaped),) = await look(history_url, "SELECT response, escaped FROM attempts")
    assert (original(response) if escaped else response.encode()) == body


@pytest.mark.parametrize("text", ["a\0b", "a\ud83db", "\\a\0", "žluťoučký", "a\\b", "\U0001f600"])
async def test_every_text_is_stored_and_what_was_escaped_is_named(
    text: str, history: SqlHistory, history_url: str
):
    event_ = an_event(type=text, publisher_id=text, identity=text, routing_key=text, headers={text: text})
    record = delivered(a_delivery(event_), error=text)

    assert await history.commit([replace(record, reason=text)]) == []

    columns = "type, publisher_id, identity, routing_key, headers, escaped"
    ((kind, publisher_id, identity, routing_key, headers, escaped),) = await look(
        history_url, f"SELECT {columns} FROM events"
    )
    assert kind == publisher_id == identity == routing_key
    assert escaped in {None, "type,publisher_id,identity,routing_key"}
    raw = original(kind) if escaped else kind.encode()
    assert raw.decode(errors="surrogatepass") == text
    assert json.loads(headers) == {text: text}
    ((error, flag),) = await look(history_url, "SELECT error, escaped FROM attempts")
    assert (error, flag) == (kind, "error" if escaped else None)


async def test_headers_that_json_cannot_hold_are_tagged(history: SqlHistory, history_url: str):
    table: dict[str, Any] = {
        "raw": b"\xff\x00",
        "price": Decimal("1.50"),
        "when": datetime(2025, 1, 1, tzinfo=UTC),
        "nan": float("nan"),
        "big": 2**80,
        "deep": [{"x-death": [{"count": 1}]}, None, True, 1.5],
        "look-alike": {"$bytes": "not one"},
    }
    await history.commit([delivered(a_delivery(an_event(headers=table)))])

    ((headers,),) = await look(history_url, "SELECT headers FROM events")
    assert json.loads(headers) == {
        "raw": {"$bytes": "/wA="},
        "price": {"$decimal": "1.50"},
        "when": {"$timestamp": "2025-01-01T00:00:00+00:00"},
        "nan": {"$float": "nan"},
        "big": 2**80,
        "deep": [{"x-death": [{"count": 1}]}, None, True, 1.5],
        "look-alike": {"$table": {"$bytes": "not one"}},
    }


@pytest.mark.parametrize("size", [2, 3, 255, 600])
async def test_a_batch_of_any_size_is_written_whole(size: int, history: SqlHistory, history_url: str):
    await history.commit([delivered(a_delivery(hook=f"hook-{number}")) for number in range(size)])

    joined = "FROM deliveries d JOIN events e ON e.id = d.event_id JOIN attempts a ON a.delivery_id = d.id"
    assert await look(history_url, f"SELECT count(DISTINCT d.hook) {joined}") == [(size,)]


async def test_a_batch_of_large_bodies_is_written_whole(history: SqlHistory, history_url: str):
    bodies = [bytes([number]) * 400_000 for number in range(7)]
    await history.commit([delivered(a_delivery(an_event(body=body))) for body in bodies])

    assert sorted(await look(history_url, "SELECT body FROM events")) == [(body,) for body in bodies]


@pytest.fixture
def sent() -> Iterator[list[str]]:
    """The statements that are sent."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield statements
    event.remove(Engine, "before_cursor_execute", note)


async def test_a_full_batch_takes_few_statements(history: SqlHistory, sent: list[str]):
    records = [delivered() for _ in range(500)]
    sent.clear()

    await history.commit(records)

    assert len(sent) <= 0.05 * len(records)


async def test_large_bodies_are_not_all_bound_at_once(history: SqlHistory, sent: list[str]):
    records = [delivered(a_delivery(an_event(body=bytes(300_000)))) for _ in range(16)]
    sent.clear()

    await history.commit(records)

    inserts = [statement for statement in sent if statement.startswith("INSERT INTO events")]
    assert len(inserts) == 8


def _impossible_rows() -> dict[str, Entry]:
    nameless: Any = None
    return {
        "a number too large": delivered(code=2**70),
        "a missing text": delivered(a_delivery(hook=nameless)),
        "a missing source": Unmatched(an_event(source=nameless)),
        "a text that is none": replace(delivered(), reason=nameless),
        "a quarantined message without a reason": in_quarantine(reason=nameless),
        "headers without end": delivered(a_delivery(an_event(headers=_deep(5000)))),
    }


def _deep(levels: int) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for _ in range(levels):
        table = {"a": table}
    return table


@pytest.mark.parametrize("kind", _impossible_rows())
async def test_only_the_row_that_the_database_refuses_is_missing(
    kind: str, history: SqlHistory, history_url: str
):
    bad = _impossible_rows()[kind]
    good = [delivered(a_delivery(hook=f"hook-{number}")) for number in range(10)]

    ((entry, reason),) = await history.commit([*good[:7], bad, *good[7:]])

    assert entry is bad
    assert reason
    assert await look(history_url, "SELECT count(*) FROM deliveries") == [(10,)]
    assert await look(history_url, "SELECT count(*) FROM attempts") == [(10,)]
    assert await look(history_url, "SELECT count(*) FROM events") == [(10,)]


async def test_several_refused_rows_are_given_back_in_their_order(history: SqlHistory):
    bad = [delivered(code=2**70, at=NOW + number) for number in range(3)]
    entries = [bad[0], delivered(), bad[1], bad[2], delivered()]

    refused = await history.commit(entries)

    assert [entry for entry, _ in refused] == bad
    assert await history.counts_by_status() == {"SUCCESS": 2}


async def test_a_delivery_waits_until_it_is_final(history: SqlHistory):
    delivery = a_delivery()
    await history.commit([waiting(delivery)])
    assert await history.counts_by_status() == {"PENDING": 1}

    await history.commit([waiting(delivery, Status.RETRYING, at=NOW + 1, next_attempt_at=NOW + 60)])
    (found,) = await newest(history, 10)
    assert (found.status, found.next_attempt_at) == ("RETRYING", NOW + 60)

    await history.commit([delivered(delivery, at=NOW + 2)])
    assert await history.counts_by_status() == {"SUCCESS": 1}
