"""What was sent and heard in attempts, as both databases keep it."""

from typing import Any

from bridge.core.delivery import Evidence, Form
from bridge.history.history import SqlHistory
from tests.support.records import a_delivery, an_event, days_ago, delivered, look

SENT = Form(
    "sent",
    '{"type":"webhook","to":"https://x","settings":"s","method":"POST","headers":[["a",null],["b","1"]]}',
)
HEARD = Form("heard", '{"headers":[["Date",null]]}')


def evidence(*values: str) -> Evidence:
    return Evidence(SENT, HEARD, "d" * 64, values)


async def test_an_attempt_tells_what_was_sent_and_what_came_back(history: SqlHistory, history_url: str):
    records = [delivered(evidence=evidence(str(number), f"day {number}")) for number in range(3)]
    for record in records:
        assert await history.commit([record]) == []

    found = await history.delivery(records[1].delivery.id)

    assert found is not None
    known = found[1][0].evidence
    assert known is not None
    assert (known.to, known.method, known.body_sha256) == ("https://x", "POST", "d" * 64)
    assert known.headers == (("a", "1"), ("b", "1"))
    assert known.answered == (("Date", "day 1"),)
    assert await look(history_url, "SELECT id FROM evidence_forms ORDER BY id") == [("heard",), ("sent",)]


async def test_an_attempt_without_an_answer_and_one_without_evidence(history: SqlHistory):
    silent = delivered(evidence=Evidence(SENT, None, "d" * 64, ("1",)))
    nothing = delivered()
    await history.commit([silent, nothing])

    told: list[Any] = []
    for record in (silent, nothing):
        found = await history.delivery(record.delivery.id)
        assert found is not None
        told.append(found[1][0].evidence)

    assert told[0].answered is None
    assert told[1] is None


async def test_forms_go_when_no_attempt_can_refer_to_them_any_more(history: SqlHistory, history_url: str):
    await history.commit([delivered(a_delivery(an_event(days_ago(30))), evidence=evidence("1", "2"))])
    assert await history.prune(days_ago(7), 100) == 1
    await history.prune(days_ago(7), 100)
    assert len(await look(history_url, "SELECT id FROM evidence_forms")) == 2  # used today

    await look(history_url, f"UPDATE evidence_forms SET used_at = {days_ago(12)}")
    await history.prune(days_ago(7), 100)
    assert await look(history_url, "SELECT id FROM evidence_forms") == []


async def test_a_form_that_is_used_stays_and_is_written_again_on_the_next_day(
    history: SqlHistory, history_url: str, monkeypatch: Any
):
    await history.commit([delivered(evidence=evidence("1", "2"))])
    await look(history_url, "DELETE FROM evidence_forms")
    await history.commit([delivered(evidence=evidence("1", "2"))])
    assert await look(history_url, "SELECT id FROM evidence_forms") == []

    monkeypatch.setattr("bridge.db.upserts._today", lambda: 1)
    await history.commit([delivered(evidence=evidence("1", "2"))])
    assert len(await look(history_url, "SELECT id FROM evidence_forms")) == 2
