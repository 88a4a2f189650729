"""Who reads a stream: whoever takes it over, or takes it back, goes on where the history says."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.core.delivery import Reached
from bridge.core.event import Source
from bridge.history.batches import SqlStreams
from bridge.history.leases import SqlReplicas
from bridge.pipeline import streams
from bridge.pipeline.stream import StreamReader
from bridge.pipeline.streams import Streams


class Database:
    """Places and leases of one stream."""

    def __init__(self) -> None:
        self.place: Reached | None = None
        self.holder = "ours"

    async def stored(self, _queue: str) -> Reached | None:
        return self.place

    async def store(self, reached: Reached) -> None:
        self.place = reached

    async def lease(self, _name: str, holder: str, _seconds: float) -> bool:
        return holder == self.holder

    async def release(self, _name: str, _holder: str) -> None:
        """Nobody does so here."""


class Clock:
    """Seconds that go on when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(streams, "time", clock)
    return clock


def reading(database: Database) -> tuple[Streams, StreamReader]:
    """The streams of a replica, and the reader of the one that it has."""
    nobody: Any = None
    recorder: Any = SimpleNamespace(nudge=lambda: None, follow=lambda _stream: None)
    source = Source.model_validate({"name": "main", "queue": "orders", "stream": {"offset": "first"}})
    intake: Any = SimpleNamespace(source=source, stream=None)
    made = Streams(
        nobody,
        cast("SqlStreams", database),
        cast("SqlReplicas", database),
        recorder,
        lambda _source, _offset: None,
        holder="ours",
        alone=False,
        silent_after=60.0,
    )
    made.add(intake, nobody)
    return made, cast("StreamReader", intake.stream)


async def start_of(replica: Streams) -> int | str | datetime | None:
    """Where it begins to read; None: somebody else does."""
    return replica.arguments("orders")["x-stream-offset"] if await replica.prepare("orders") else None


async def test_a_replica_that_reads_again_after_another_one_goes_on_where_that_one_ended(clock: Clock):
    database = Database()
    replica, _ = reading(database)
    assert await start_of(replica) == "first"
    database.holder, database.place = "another", Reached("orders", 500)
    assert await start_of(replica) is None
    database.holder = "ours"
    assert await start_of(replica) == 500


async def test_nor_does_it_go_on_by_itself_where_its_lease_ended_meanwhile(clock: Clock):
    database = Database()
    replica, reader = reading(database)
    assert await start_of(replica) == "first"
    database.place = Reached("orders", 500)
    clock.now += 5
    assert await start_of(replica) == "first"
    clock.now += 11
    assert await start_of(replica) == 500
    assert reader.begun


async def test_a_stream_that_looks_shorter_once_is_not_read_anew(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    database = Database()
    database.place = Reached("orders", 500, digest="d", since=datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    replica, reader = reading(database)

    async def short(_link: object, _queue: str, _enough: int) -> int:
        return 3

    monkeypatch.setattr(streams, "last_offset", short)
    assert await start_of(replica) == 500
    read: Any = replica._read["orders"]
    read.channel = SimpleNamespace(renew=_renewed)
    await replica._doubt("orders", read)
    assert reader.done_to == 500
    await replica._doubt("orders", read)
    assert reader.done_to == -1


async def _renewed(_queue: str) -> None:
    """It would begin anew."""
