"""One batch of entries as one transaction: rows, and the sums of what was new among them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Connection, Dialect, and_, or_, select

from bridge.core.delivery import Counted, Entry, Finished, Form, Reached, Unkept
from bridge.db.admin_tables import stream_offsets
from bridge.db.engine import Reads, Store, is_outage, told, unavailable
from bridge.db.rows import rows_of
from bridge.db.upserts import Upserts, inserting
from bridge.history.claims_store import finish
from bridge.history.sums import MeasuresWriter, Tally, add_tally

# How far streams have been read, in the database.


def reach(connection: Connection, places: Sequence[Reached]) -> None:
    """Write down how far streams have been read; nobody goes back, but in a stream that was made anew."""
    c = stream_offsets.c
    for one in {each.queue: each for each in places}.values():
        row = {
            "queue": one.queue,
            "epoch": one.epoch,
            "reached": one.offset,
            "ahead": f"{one.ahead:x}",
            "digest": one.digest,
            "since": one.since,
        }
        insert = inserting(connection)(stream_offsets).values(row)
        new = insert.excluded
        further = or_(new.epoch > c.epoch, and_(new.epoch == c.epoch, new.reached >= c.reached))
        changing = {name: new[name] for name in row if name != "queue"}
        connection.execute(
            insert.on_conflict_do_update(index_elements=[c.queue], set_=changing, where=further)
        )


def _stored(connection: Connection, queue: str) -> Reached | None:
    """Returns the committed offset of the queue; None if it was never read."""
    row = connection.execute(select(stream_offsets).where(stream_offsets.c.queue == queue)).first()
    if row is None:
        return None
    return Reached(row.queue, row.reached, int(row.ahead or "0", 16), row.digest, row.epoch, row.since)


class SqlStreams(Store):
    """The store to the committed offsets of streams. Each method raises HistoryUnavailable."""

    stored = Reads(_stored)

    async def store(self, reached: Reached) -> None:
        await self.engine.write(partial(reach, places=[reached]))


Refused = list[tuple[Entry, str]]


class RowsRefused(Exception):
    """The database, or the way to it, refuses what one of the rows holds."""


class KnownAlready(Exception):
    """The database had some of it already: what was new must be told apart, so that nothing is counted twice."""


class Batches:
    """Writes batches, each within the transaction of its connection."""

    def __init__(self, dialect: Dialect) -> None:
        self._upserts = Upserts(dialect)
        self._measures = MeasuresWriter()

    def write(self, entries: Sequence[Entry], connection: Connection) -> Mapping[str, Form]:
        """Write all of it; raises RowsRefused or KnownAlready, and then nothing of it may be committed.

        Gives the forms that it refers to, of which `committed` wants to hear once that is done.

        How many rows changed anything the database tells at no price, and nearly always it is all of them.
        """
        with _refusals():
            rows = rows_of(entries)
            if not self._upserts.write(connection, rows):
                raise KnownAlready
            finish(connection, rows.finished)
            reach(connection, rows.reached)
            tally = Tally()
            tally.add_rows(rows.deliveries.values(), rows.attempts.values(), rows.deliveries)
            for record in rows.unkept:
                tally.add_unkept(record)
            # Last of all: other replicas wait for these rows until the transaction ends.
            add_tally(connection, tally)
            self._measures.add(connection, rows.counted)
            return rows.forms

    def committed(self, forms: Mapping[str, Form]) -> None:
        """These are in the database for good."""
        if forms:
            self._upserts.committed(forms)

    def sift(self, entries: Sequence[Entry], connection: Connection) -> Refused:
        """Write all that can be written and is not there; gives what is refused, each with the reason."""
        of_rows = [entry for entry in entries if not isinstance(entry, Unkept | Counted | Finished | Reached)]
        finish(connection, [one for entry in entries if isinstance(entry, Finished) for one in entry.claims])
        reach(connection, [entry for entry in entries if isinstance(entry, Reached)])
        tally = Tally()
        refused = self._halve(of_rows, connection, tally) if of_rows else []
        if tally.counts or len(of_rows) == len(refused):
            # Else the batch was there as a whole: the connection broke in the moment of its commit.
            refused += self._add_sums(entries, connection, tally)
        return refused

    def _halve(self, entries: Sequence[Entry], connection: Connection, tally: Tally) -> Refused:
        try:
            with connection.begin_nested(), _refusals():
                rows = rows_of(entries)
                deliveries, attempts = self._upserts.write_telling(connection, rows)
        except RowsRefused as refusal:
            if len(entries) == 1:
                return [(entries[0], str(refusal))]
            half = len(entries) // 2
            return [
                *self._halve(entries[:half], connection, tally),
                *self._halve(entries[half:], connection, tally),
            ]
        tally.add_rows(deliveries, attempts, rows.deliveries)
        return []

    def _add_sums(self, entries: Sequence[Entry], connection: Connection, tally: Tally) -> Refused:
        for entry in entries:
            if isinstance(entry, Unkept):
                tally.add_unkept(entry.record)
        try:
            add_tally(connection, tally)
        except Exception as error:
            # The figures are our own: what the database has against them is nothing about a row.
            raise unavailable(error) from error
        counted = [entry for entry in entries if isinstance(entry, Counted)]
        try:
            with connection.begin_nested(), _refusals():
                self._measures.add(connection, counted)
                self._upserts.write_dimensions(connection, rows_of(counted))
        except RowsRefused as refusal:
            return [(entry, str(refusal)) for entry in counted]
        return []


@contextmanager
def _refusals() -> Iterator[None]:
    """What is no outage is said of the rows."""
    try:
        yield
    except KnownAlready:
        raise
    except Exception as error:
        if is_outage(error):
            raise
        raise RowsRefused(told(error)) from error
