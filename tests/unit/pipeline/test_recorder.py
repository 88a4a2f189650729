"""Group commit: nothing is settled before its entry is committed, and nothing is forgotten."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

from bridge.core.delivery import Delivery, Entry, Quarantined, Record, Status, Unmatched
from bridge.core.errors import HistoryUnavailable
from bridge.core.event import Event, Message
from bridge.core.ports import History
from bridge.pipeline.recorder import GroupCommit, Recorder
from bridge.pipeline.settlement import InFlight, Settlement
from tests.support.tickets import CountingTicket
from tests.support.waiting import until


class Database:
    """Keeps batches; can be away, and can refuse single entries."""

    def __init__(self):
        self.batches: list[list[Entry]] = []
        self.away = False
        self.refused: set[str] = set()
        self.tries = 0

    async def commit(self, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
        self.tries += 1
        if self.away:
            raise HistoryUnavailable("away")
        self.batches.append(list(entries))
        return [
            (each, "too odd")
            for each in entries
            if isinstance(each, Record) and each.delivery.id in self.refused
        ]


class Watch:
    def __init__(self):
        self.refusals: list[str] = []
        self.written: list[Entry] = []

    def committed(self, seconds, rows):
        pass

    def unavailable(self):
        pass

    def refused(self, entry, reason):
        self.refusals.append(reason)

    def recorded(self, entry):
        self.written.append(entry)


class Bench:
    """A recorder on a database that does what it is told."""

    def __init__(self, **options):
        self.database, self.watch, self.load = Database(), Watch(), InFlight()
        self.after_commits: list[str] = []
        self.recorder = Recorder(
            cast("History", self.database),
            self.send_acks,
            lambda: self.after_commits.append("kept-back messages admitted"),
            watch=self.watch,
            **options,
        )

    async def send_acks(self):
        self.after_commits.append("acks sent")

    def add(self, name="d", status=Status.SUCCESS, *, waited=False, body=b"{}"):
        ticket = CountingTicket()
        event = Event("e", "s", "t", "json", 0.0, Message(body))
        record = Record(Delivery(name, event, "h"), "webhook", status, "", 0.0, waited=waited)
        self.recorder.add(record, Settlement(ticket, "s", self.load))
        return ticket


@asynccontextmanager
async def running(**options):
    bench = Bench(**options)
    task = asyncio.create_task(bench.recorder.run())
    try:
        yield bench
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_many_entries_share_one_transaction_and_are_settled_after_it():
    async with running() as bench:
        tickets = [bench.add(f"d{n}") for n in range(50)]
        assert not any(ticket.finished for ticket in tickets)

        await until(lambda: all(ticket.finished == 1 for ticket in tickets))

        assert [len(batch) for batch in bench.database.batches] == [50]
        assert bench.after_commits == ["acks sent", "kept-back messages admitted"]


async def test_a_batch_has_at_most_the_configured_rows():
    async with running(grouping=GroupCommit(0.02, 0.1, 128)) as bench:
        for n in range(300):
            bench.add(f"d{n}")
        await bench.recorder.drained()

        sizes = [len(batch) for batch in bench.database.batches]
        assert max(sizes) <= 128
        assert sum(sizes) == 300


async def test_a_batch_has_few_bytes_and_at_least_one_entry():
    large = bytes(3 * 1024**2)
    async with running() as bench:
        for body in (large, large, bytes(9 * 1024**2), b"1", b"2"):
            bench.add(body=body)
        await bench.recorder.drained()

        assert [len(batch) for batch in bench.database.batches] == [1, 1, 1, 2]


async def test_while_the_database_is_away_nothing_is_settled_and_nothing_is_lost():
    async with running() as bench:
        bench.database.away = True
        ticket = bench.add()
        await until(lambda: bench.database.tries >= 2)
        assert ticket.finished == 0
        assert bench.recorder.down_since is not None

        bench.database.away = False
        await until(lambda: ticket.finished == 1)
        assert bench.recorder.down_since is None


async def test_a_refused_entry_is_told_and_does_not_stop_the_others():
    async with running() as bench:
        bench.database.refused.add("odd")
        odd, good = bench.add("odd"), bench.add("good")

        await until(lambda: good.finished == 1)

        assert odd.finished == 1
        assert bench.watch.refusals == ["too odd"]


async def test_a_refused_quarantine_stays_with_the_broker():
    async with running() as bench:

        async def refuse_all(entries):
            return [(each, "too odd") for each in entries]

        bench.database.commit = refuse_all
        ticket = CountingTicket()
        message = Message(b"only copy there is")
        bench.recorder.add(
            Quarantined("q", "s", "headers_too_large", "", 0.0, message), Settlement(ticket, "s", bench.load)
        )
        await bench.recorder.drained()

        assert bench.watch.refusals == ["too odd"]
        assert ticket.finished == 0


async def test_keeping_failures_only_writes_no_success_at_the_first_attempt():
    async with running(keep_successes=False) as bench:
        tickets = [
            bench.add("first"),
            bench.add("out of a lane", waited=True),
            bench.add("failed", Status.FAILED),
        ]
        unmatched = CountingTicket()
        event = Event("e", "s", "t", "json", 0.0, Message(b"{}"))
        bench.recorder.add(Unmatched(event), Settlement(unmatched, "s", bench.load))

        await until(lambda: all(ticket.finished == 1 for ticket in [*tickets, unmatched]))

        written = [
            entry.delivery.id
            for batch in bench.database.batches
            for entry in batch
            if isinstance(entry, Record)
        ]
        assert written == ["out of a lane", "failed"]
        assert len(bench.watch.written) == 4


def all_finished(tickets: list[CountingTicket]) -> bool:
    return all(ticket.finished for ticket in tickets)


async def test_attempts_that_hang_do_not_make_the_others_wait_for_their_commit():
    """What an endpoint holds back never arrives here; waiting for it cost a tenth of a second per batch."""
    async with running(grouping=GroupCommit(0.02, 5.0, 500)) as bench:
        for _ in range(4):  # well filled batches: the window grows up to five seconds
            tickets = [bench.add(f"d{n}") for n in range(200)]
            async with asyncio.timeout(2):
                await until(partial(all_finished, tickets), every=0.005)
