"""Keys of events that a publisher may send twice: one event has each, whoever asks."""

import asyncio
import time

import pytest

from bridge.core.delivery import Counted, Entry, Finished
from bridge.core.guards import Claim, Claimed, Earlier
from bridge.history.guards_store import SqlClaims
from bridge.history.history import SqlHistory
from bridge.pipeline.dedupe import DedupeLeases, Verdict
from bridge.pipeline.settlement import InFlight, Settlement
from tests.support.records import NOW, a_delivery, an_event, delivered, new_id, waiting
from tests.support.tickets import CountingTicket

E1, E2, E3 = (new_id(NOW + n) for n in range(3))
WINDOW = 60.0


async def test_a_key_belongs_to_the_first_event_until_its_window_is_over(history: SqlHistory):
    claims: SqlClaims = SqlClaims(history.engine)

    first = await claims.claim([Claim("k", E1, WINDOW), Claim("k", E2, WINDOW)], holder="a", at=NOW)
    second = await claims.claim([Claim("k", E2, WINDOW)], holder="b", at=NOW + WINDOW - 1)
    again = await claims.claim([Claim("k", E1, WINDOW)], holder="a", at=NOW + WINDOW - 1)
    later = await claims.claim([Claim("k", E2, WINDOW), Claim("l", E3, WINDOW)], holder="b", at=NOW + WINDOW)

    assert first == {"k": Claimed("k", E1, "a", NOW, done=False, new=True)}
    assert second == again == {"k": Claimed("k", E1, "a", NOW, done=False, new=False)}
    assert later == {
        "k": Claimed("k", E2, "b", NOW + WINDOW, done=False, new=True),
        "l": Claimed("l", E3, "b", NOW + WINDOW, done=False, new=True),
    }


@pytest.mark.parametrize("skew", [-7200.0, 7200.0])
async def test_whose_clock_is_wrong_takes_no_key_from_a_living_process_and_loses_none(
    history: SqlHistory, skew: float, monkeypatch: pytest.MonkeyPatch
):
    if history.engine.dialect.name == "sqlite":
        pytest.skip("one process has the file")
    claims = SqlClaims(history.engine)
    here, there = (DedupeLeases(claims, holder, alone=False) for holder in "ab")
    await here.claim([Claim("k", E1, WINDOW)])

    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + skew)
    seen = await there.claim([Claim("k", E2, WINDOW), Claim("l", E3, WINDOW)])
    assert there.judge(seen["k"], E2, Settlement(CountingTicket(), "main", InFlight())) is Verdict.WAIT
    assert await claims.forget_claims(await claims.now(), 10) == 0
    monkeypatch.undo()
    seen = await here.claim([Claim("l", E1, WINDOW)])
    assert (seen["l"].event_id, seen["l"].new) == (E3, False)
    assert here.judge(seen["l"], E1, Settlement(CountingTicket(), "main", InFlight())) is Verdict.WAIT


async def test_of_many_who_claim_at_once_each_key_has_one(history: SqlHistory):
    claims = SqlClaims(history.engine)
    keys = [f"k{number}" for number in range(20)]
    events = [new_id() for _ in range(4)]

    answers = await asyncio.gather(
        *(
            claims.claim([Claim(key, event, WINDOW) for key in keys[::step]], holder=event, at=NOW)
            for event, step in zip(events, (1, -1, 1, -1), strict=True)
        )
    )

    for key in keys:
        told = {answer[key].event_id for answer in answers}
        assert len(told) == 1
        assert sum(answer[key].new for answer in answers) == 1


async def test_thousands_of_keys_are_claimed_and_taken_over_together(history: SqlHistory):
    claims = SqlClaims(history.engine)
    wanted = [Claim(f"k{number}", E1, WINDOW) for number in range(1200)]
    claimed = await claims.claim([*wanted, *wanted], holder="a", at=NOW)
    assert len(claimed) == 1200
    assert all(each.new for each in claimed.values())
    again = await claims.claim(wanted, holder="b", at=NOW + 1)
    assert {(each.event_id, each.holder, each.new) for each in again.values()} == {(E1, "a", False)}
    won = await claims.take_over(again.values(), holder="b", at=NOW + 20)
    assert won == dict.fromkeys(claimed, Earlier(E1, frozenset()))
    assert not await claims.take_over(again.values(), holder="c", at=NOW + 21)


async def test_an_event_is_finished_in_the_commit_of_its_deliveries_unless_another_has_its_key(
    history: SqlHistory,
):
    claims = SqlClaims(history.engine)
    await claims.claim([Claim("k", E1, WINDOW), Claim("l", E2, 1)], holder="a", at=NOW)
    await claims.claim([Claim("l", E3, WINDOW)], holder="b", at=NOW + 5)
    record = delivered()
    await history.commit([record])

    # With something that is known already in the same batch, and with sums beside it.
    entries: list[Entry] = [
        record,
        Finished((("k", E1),)),
        Finished((("l", E2),)),
        Counted(an_event(), {"n": 1}),
    ]
    assert await history.commit(entries) == []

    now = await claims.claim([Claim("k", E3, WINDOW), Claim("l", E1, WINDOW)], holder="c", at=NOW + 6)
    assert (now["k"].event_id, now["k"].done) == (E1, True)
    assert (now["l"].event_id, now["l"].done) == (E3, False)
    assert await claims.take_over(now.values(), holder="c", at=NOW + 7) == {"l": Earlier(E3, frozenset())}
    assert await history.commit([Finished((("l", E3),))]) == []
    assert (await claims.claim([Claim("l", E1, WINDOW)], holder="c", at=NOW + 6))["l"].done


async def test_what_its_holder_gave_up_one_other_takes_over_with_the_hooks_that_have_a_fate(
    history: SqlHistory,
):
    claims = SqlClaims(history.engine)
    event = an_event()
    await claims.claim([Claim("k", event.id, WINDOW)], holder="dead", at=NOW)
    await history.commit(
        [delivered(a_delivery(event, hook="a")), waiting(a_delivery(event, hook="b"))],
    )
    seen = (await claims.claim([Claim("k", E2, WINDOW)], holder="x", at=NOW + 9)).values()

    won = await asyncio.gather(*(claims.take_over(seen, holder=each, at=NOW + 10) for each in "xyz"))

    assert sorted(map(bool, won)) == [False, False, True]
    assert {"k": Earlier(event.id, frozenset({"a", "b"}))} in won
    winner = "xyz"["k" in won[1] or 2 * ("k" in won[2])]
    now = await claims.claim([Claim("k", E3, WINDOW)], holder="q", at=NOW + 11)
    assert now["k"] == Claimed("k", event.id, winner, NOW + 10, done=False, new=False)


async def test_a_holder_says_that_it_is_at_it_or_is_not_any_more(history: SqlHistory):
    claims = SqlClaims(history.engine)
    await claims.claim([Claim("k", E1, WINDOW), Claim("l", E2, WINDOW)], holder="a", at=NOW)

    await claims.renew([("k", E1), ("l", E3)], holder="a", at=NOW + 5)
    await claims.renew([("l", E2)], holder="b", at=NOW + 5)
    await claims.release([("l", E2)], holder="a")
    await claims.release([("k", E1)], holder="b")

    now = await claims.claim([Claim("k", E3, WINDOW), Claim("l", E3, WINDOW)], holder="c", at=NOW + 6)
    assert (now["k"].holder, now["k"].at) == ("a", NOW + 5)
    assert (now["l"].holder, now["l"].at) == ("", NOW)


async def test_claims_that_count_no_longer_are_forgotten_a_few_at_a_time(history: SqlHistory):
    claims = SqlClaims(history.engine)
    await claims.claim([Claim(f"k{n}", new_id(), 1.0 + n) for n in range(5)], holder="a", at=NOW)

    assert await claims.forget_claims(NOW + 3.5, 2) == 2
    assert await claims.forget_claims(NOW + 3.5, 2) == 1
    assert await claims.forget_claims(NOW + 3.5, 2) == 0
    left = await claims.claim([Claim("k4", E1, WINDOW)], holder="b", at=NOW)
    assert not left["k4"].new
