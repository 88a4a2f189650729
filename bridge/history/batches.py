"""A batch of entries as one transaction: its rows, and the sums of those that were new."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from sqlalchemy import Connection, Dialect, and_, or_, select

from bridge.core.delivery import Counted, Entry, Finished, Form, Reached, Unkept
from bridge.db.admin_tables import stream_offsets
from bridge.db.engine import Reads, Store, is_outage, told, unavailable
from bridge.db.rows import rows_of
from bridge.db.upserts import Upserts, any_insert
from bridge.history.guards_store import finish
from bridge.history.sums import MeasuresWriter, Tally, add_tally

# The committed offsets of streams.


def reach(connection: Connection, places: Sequence[Reached]) -> None:
    """Writes how far streams have been read; an offset never decreases, except in a stream that was replaced."""
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
        insert = any_insert(connection, stream_offsets).values(row)
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
    """The database or its connection refuses the content of a row."""


class KnownAlready(Exception):
    """The database has some of the batch already: new entries must be separated, so that nothing is counted twice."""


class Batches:
    """Writes batches, each within the transaction of its connection."""

    def __init__(self, dialect: Dialect) -> None:
        self._upserts = Upserts(dialect)
        self._measures = MeasuresWriter()

    def write(self, entries: Sequence[Entry], connection: Connection) -> Mapping[str, Form]:
        """Writes the whole batch; raises RowsRefused or KnownAlready, and then nothing of it may be committed.

        Returns the forms that were not known to be committed; pass them to `committed` after the commit.

        The number of inserted rows costs no query, and nearly always equals that of the batch.
        """
        with _refusals():
            rows = rows_of(entries)
            if not self._upserts.write(connection, rows):
                raise KnownAlready
            if rows.finished:
                finish(connection, rows.finished)
            if rows.reached:
                reach(connection, rows.reached)
            tally = Tally()
            tally.add_rows(rows.deliveries.values(), rows.attempts.values(), rows.deliveries)
            for record in rows.unkept:
                tally.add_unkept(record)
            # At the end: other replicas wait for these rows until the transaction ends.
            add_tally(connection, tally)
            if rows.counted:
                self._measures.add(connection, rows.counted)
            return rows.forms

    def committed(self, forms: Mapping[str, Form]) -> None:
        """Notes that these forms are committed."""
        self._upserts.committed(forms)

    def sift(self, entries: Sequence[Entry], connection: Connection) -> Refused:
        """Writes the entries that the database accepts and lacks; returns the refused ones with their reasons."""
        of_rows = [entry for entry in entries if not isinstance(entry, Unkept | Counted | Finished | Reached)]
        finish(connection, [one for entry in entries if isinstance(entry, Finished) for one in entry.claims])
        reach(connection, [entry for entry in entries if isinstance(entry, Reached)])
        tally = Tally()
        refused = self._halve(of_rows, connection, tally) if of_rows else []
        if tally.counts or len(of_rows) == len(refused):
            # Else the whole batch was written before: the connection broke during its commit.
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
            # The sums are computed here: an error about them says nothing about a row.
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
    """Converts every database error that is not an outage into RowsRefused."""
    try:
        yield
    except KnownAlready:
        raise
    except Exception as error:
        if is_outage(error):
            raise
        raise RowsRefused(told(error)) from error
