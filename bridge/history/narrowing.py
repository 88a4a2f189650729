"""The conditions on deliveries for which no index of theirs begins: each entry that a scan finds is looked up."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy import Column, ColumnElement, Connection, exists, select

from bridge.db.admin_tables import replayed
from bridge.db.rows import storable
from bridge.db.scan import Condition, Key, KeyRange, Scan, equals, run_all
from bridge.db.tables import attempts, deliveries, events

LOOK_UP = 20
"""The cost of looking up a row, relative to an index entry."""


class Narrowed(Protocol):
    """The members of a filter that are looked up."""

    @property
    def source(self) -> str | None: ...
    @property
    def outcome(self) -> str | None: ...
    @property
    def status_code(self) -> int | None: ...


def of_source(which: Narrowed) -> list[Condition]:
    """Returns the condition on the source of the event."""
    return [] if which.source is None else [(deliveries.c.event_id, _event_of(which.source))]


def of_last_attempt(which: Narrowed) -> list[Condition]:
    """Returns the conditions on the last attempt."""
    c = attempts.c
    asked: list[tuple[Column[Any], Any]] = [(c.outcome, which.outcome), (c.status_code, which.status_code)]
    return [(deliveries.c.id, _last(column, wanted)) for column, wanted in asked if wanted is not None]


def looked_up(which: Any) -> list[Condition]:
    """Returns all such conditions of a filter of deliveries."""
    reason = [] if which.reason is None else [equals(deliveries.c.reason, storable(which.reason))]
    replay = [] if which.replay is None else [(deliveries.c.id, _taken_by(which.replay))]
    return [*of_source(which), *of_last_attempt(which), *reason, *replay]


def as_sql(conditions: Sequence[Condition]) -> list[ColumnElement[bool]]:
    """Returns the conditions on the rows themselves."""
    return [asked(column) for column, asked in conditions]


def scan_of_replay(replay: str, conditions: Sequence[ColumnElement[bool]]) -> Scan:
    """Returns the scan of the deliveries that a replay took, those that are still there and meet the conditions."""
    c = replayed.c

    def fits(entry: ColumnElement[str]) -> ColumnElement[bool]:
        return exists().where(deliveries.c.id == entry, *conditions)

    return Scan((c.event_id, c.delivery_id), [c.replay_id == replay], [(c.delivery_id, fits)], cost=LOOK_UP)


def of_replay(connection: Connection, replay: str, most: int) -> list[Key]:
    """Returns the keys of the newest deliveries that a replay took."""
    c = replayed.c
    return list(
        run_all(
            connection, [Scan((c.event_id, c.delivery_id), [c.replay_id == replay])], KeyRange(), most
        ).keys
    )


def _event_of(source: str) -> Any:
    return lambda entry: exists().where(events.c.id == entry, events.c.source == storable(source))


def _last(column: Column[Any], wanted: str | int) -> Any:
    c = attempts.c

    def fits(entry: ColumnElement[str]) -> ColumnElement[bool]:
        tried = select(column).where(c.delivery_id == entry).order_by(c.generation.desc(), c.number.desc())
        return tried.limit(1).scalar_subquery() == wanted

    return fits


def _taken_by(replay: str) -> Any:
    c, same = replayed.c, deliveries.alias().c

    def fits(entry: ColumnElement[str]) -> ColumnElement[bool]:
        event = select(same.event_id).where(same.id == entry).scalar_subquery()
        return exists().where(c.replay_id == replay, c.event_id == event, c.delivery_id == entry)

    return fits
