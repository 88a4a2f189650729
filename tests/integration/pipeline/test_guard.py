"""The guard, on a database: who begins when after an unclean stop, who never does, and what is forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.core.event import Message, Undecodable
from bridge.core.ports import AckHandle
from bridge.history.guards_store import SqlSuspects
from bridge.history.history import SqlHistory, open_history
from bridge.pipeline import poison as stage
from bridge.pipeline.poison import PoisonMessageGuard
from bridge.pipeline.settlement import InFlight, SettledCallback
from tests.support.tickets import CountingTicket
from tests.support.waiting import holds, until


class Beyond:
    """What lies behind the guard: messages that went on, and those that were refused."""

    name = "beyond"

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.refused: list[tuple[bytes, str]] = []
        self.ends: dict[bytes, SettledCallback | None] = {}

    def digest(self, message: Message) -> str:
        return message.body.decode()

    def is_urgent(self, message: Message) -> bool:
        return message.body.startswith(b"urgent")

    def has_last_turn(self, message: Message) -> bool:
        return message.body.startswith(b"urgent last")

    def admit(self, message: Message, ticket: AckHandle, over: SettledCallback | None = None) -> None:
        self.begun.append(message.body)
        self.ends[message.body] = over

    def refuse(
        self, why: Undecodable, message: Message, ticket: AckHandle, over: SettledCallback | None = None
    ) -> None:
        self.refused.append((message.body, why.reason))
        if over is not None:
            over(True)

    def end(self, body: bytes, *, complete: bool = True) -> None:
        """All of this message has its fate, or the broker will hand it out again."""
        over = self.ends[body]
        assert over is not None
        over(complete)


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqlHistory]:
    opened = await open_history(f"sqlite:///{tmp_path}/bridge.db")
    yield opened
    await opened.close()


@pytest.fixture
def suspects(history: SqlHistory) -> SqlSuspects:
    return SqlSuspects(history.engine)


@asynccontextmanager
async def after_an_unclean_stop(
    suspects: SqlSuspects, life: str = "now", load: InFlight | None = None
) -> AsyncIterator[PoisonMessageGuard]:
    """A guard that watches out."""
    guard = PoisonMessageGuard(suspects, load or InFlight(), life)
    await guard.watch_out()
    running = asyncio.create_task(guard.run())
    yield guard
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def take(
    guard: PoisonMessageGuard, beyond: Beyond, *bodies: bytes, again: bool = True
) -> dict[bytes, CountingTicket]:
    """Messages come in, handed out again or for the first time."""
    tickets = {body: CountingTicket() for body in bodies}
    for body, ticket in tickets.items():
        guard.take(beyond, Message(body, redelivered=again), ticket)
    return tickets


async def test_after_an_orderly_stop_nothing_is_held_or_noted(suspects: SqlSuspects):
    guard, beyond = PoisonMessageGuard(suspects, InFlight(), "now"), Beyond()
    take(guard, beyond, b"a", b"b")
    assert beyond.begun == [b"a", b"b"]
    assert not guard.holding
    assert await suspects.times(["a", "b"], "later") == {}


async def test_what_comes_again_for_the_first_time_is_noted_and_begins_with_the_others(suspects: SqlSuspects):
    beyond = Beyond()
    async with after_an_unclean_stop(suspects) as guard:
        take(guard, beyond, b"a", b"b")
        take(guard, beyond, b"new", again=False)
        await until(lambda: len(beyond.begun) == 3)
        assert await suspects.times(["a", "b", "new"], "later") == {"a": 1, "b": 1}
        assert not guard.holding
        beyond.end(b"a")
        beyond.end(b"b", complete=False)
        await until(lambda: gone(suspects, "a"))
        assert await suspects.times(["a", "b"], "later") == {"b": 1}
        await guard.leave()
    assert await suspects.times(["a", "b"], "later") == {}


async def gone(suspects: SqlSuspects, digest: str) -> bool:
    return digest not in await suspects.times([digest], "later")


async def test_suspects_that_the_broker_would_drop_next_time_begin_at_once_but_for_convicted_ones(
    suspects: SqlSuspects,
):
    last = [b"urgent last %d" % number for number in range(3)]
    waiting = [b"urgent a", b"urgent b"]
    named = [body.decode() for body in (*last, *waiting)]
    await suspects.note(named, "before")
    await suspects.note(["urgent last bad"], "long before")
    await suspects.note(["urgent last bad"], "before")
    beyond = Beyond()
    async with after_an_unclean_stop(suspects) as guard:
        take(guard, beyond, *waiting, *last, b"urgent last bad")
        await until(lambda: {*last, waiting[0]} == set(beyond.begun))
        await holds(lambda: waiting[1] not in beyond.begun, 0.2, what="the one before it is not settled")
        assert beyond.refused == [(b"urgent last bad", stage.ENDED_THE_PROCESS)]
        assert await suspects.times(named[:3], "later") == dict.fromkeys(named[:3], 2)


async def test_suspects_begin_one_by_one_and_everything_else_after_them(suspects: SqlSuspects):
    await suspects.note(["a", "b", "c"], "before")
    beyond, load = Beyond(), InFlight(open=1)
    async with after_an_unclean_stop(suspects, load=load) as guard:
        take(guard, beyond, b"new", again=False)
        take(guard, beyond, b"a", b"first time", b"b", b"c")
        await holds(lambda: not beyond.begun, 0.2, what="something else is under way")
        load.open = 0
        for number, body in enumerate((b"a", b"b", b"c"), 1):
            await until(lambda: len(beyond.begun) == number)  # noqa: B023
            assert beyond.begun[-1] == body
            # Those before it are forgotten, those behind it not counted: only this one would be convicted.
            named = [each.decode() for each in (b"a", b"b", b"c")]
            assert (await suspects.times(named, "later"))[body.decode()] == 2
            assert sum(times == 2 for times in (await suspects.times(named, "later")).values()) == 1
            beyond.end(body)
        await until(lambda: len(beyond.begun) == 5)
        assert set(beyond.begun[3:]) == {b"new", b"first time"}
        await until(lambda: not guard.holding)


async def test_one_that_was_alone_at_a_death_is_refused_and_forgotten(suspects: SqlSuspects):
    await suspects.note(["a", "b"], "first")
    await suspects.note(["a"], "second")
    beyond = Beyond()
    async with after_an_unclean_stop(suspects) as guard:
        take(guard, beyond, b"a", b"b")
        await until(lambda: beyond.begun == [b"b"])
        assert beyond.refused == [(b"a", "ended_the_process")]
        await until(lambda: gone(suspects, "a"))


async def test_of_what_comes_again_few_are_under_way_at_once_and_only_those_are_noted(suspects: SqlSuspects):
    bodies = [b"%d" % number for number in range(30)]
    names = [body.decode() for body in bodies]
    beyond = Beyond()
    async with after_an_unclean_stop(suspects) as guard:
        take(guard, beyond, *bodies)
        await until(lambda: len(beyond.begun) == 8)
        assert len(await suspects.times(names, "later")) == 8
        for body in bodies[:8]:
            beyond.end(body)
        await until(lambda: len(beyond.begun) == 16)
        # Those of slow endpoints hold up the others for a moment only.
        await until(lambda: beyond.begun == bodies, 5)


async def test_where_processes_die_all_the_time_it_takes_two_deaths_alone_and_the_accused_begins_first(
    suspects: SqlSuspects,
):
    for _ in range(3):
        await suspects.count_unclean_stop()
    await suspects.note(["a", "b", "c"], "first")
    await suspects.note(["b", "c"], "second")
    await suspects.note(["c"], "third")
    beyond = Beyond()
    async with after_an_unclean_stop(suspects) as guard:
        take(guard, beyond, b"a", b"b", b"c")
        await until(lambda: beyond.begun)
        assert beyond.begun == [b"b"]
        assert beyond.refused == [(b"c", "ended_the_process")]
        beyond.end(b"b")
        await until(lambda: beyond.begun == [b"b", b"a"])


async def test_one_that_hangs_holds_up_the_next_for_a_while_only_and_is_not_convicted(
    suspects: SqlSuspects, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stage, "_SHORTEST", 0.2)
    monkeypatch.setattr(stage, "_PATIENCE", 0.4)
    monkeypatch.setattr(stage, "_HOLD", 0.1)
    await suspects.note(["a", "b"], "before")
    beyond = Beyond()
    async with after_an_unclean_stop(suspects) as guard:
        take(guard, beyond, b"a", b"b")
        take(guard, beyond, b"new", again=False)
        await until(lambda: b"new" in beyond.begun)
        await until(lambda: b"b" in beyond.begun)
        assert await suspects.times(["a", "b"], "later") == {"a": 1, "b": 2}
        beyond.end(b"b")
        beyond.end(b"a")
        await until(lambda: gone(suspects, "a"))


async def test_equal_messages_are_as_innocent_as_the_first_of_them(suspects: SqlSuspects):
    await suspects.note(["a"], "before")
    beyond = Beyond()
    async with after_an_unclean_stop(suspects) as guard:
        for _ in range(3):
            take(guard, beyond, b"a")
        await until(lambda: beyond.begun)
        await holds(lambda: len(beyond.begun) == 1, 0.1, what="the first one is alone")
        beyond.end(b"a")
        await until(lambda: len(beyond.begun) == 3)
        await until(lambda: gone(suspects, "a"))


async def test_what_waits_is_handed_back_or_dropped_with_its_channel(suspects: SqlSuspects):
    await suspects.note(["a", "b", "c"], "before")
    beyond, other = Beyond(), Beyond()
    async with after_an_unclean_stop(suspects) as guard:
        waiting = take(guard, beyond, b"a", b"b")
        kept = take(guard, other, b"c")
        await until(lambda: beyond.begun == [b"a"])
        waiting[b"b"].valid = False
        guard.requeue(beyond)
        assert waiting[b"b"].given_back == 1
        assert waiting[b"a"].given_back == kept[b"c"].given_back == 0
        beyond.end(b"a")
        await until(lambda: other.begun == [b"c"])
        assert beyond.begun == [b"a"]


async def test_what_must_not_come_back_often_waits_for_nothing_and_suspects_of_it_begin_one_by_one(
    suspects: SqlSuspects,
):
    await suspects.note(["a", "urgent b", "urgent c"], "before")
    beyond, load = Beyond(), InFlight(open=1)
    async with after_an_unclean_stop(suspects, load=load) as guard:
        take(guard, beyond, b"a", b"urgent b", b"urgent c", b"urgent d", b"e")
        await until(lambda: {b"urgent b", b"urgent d"} <= set(beyond.begun))
        await holds(lambda: len(beyond.begun) == 2, 0.1, what="something else is under way, and b is alone")
        beyond.end(b"urgent b")
        await until(lambda: beyond.begun[2:] == [b"urgent c"])
        beyond.end(b"urgent c")
        load.open = 0
        await until(lambda: b"a" in beyond.begun)
