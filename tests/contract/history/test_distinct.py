"""The values that a column has, on both databases."""

import pytest
from sqlalchemy import Engine, event

from bridge.core.delivery import Unmatched
from bridge.db.scan import distinct
from bridge.db.tables import events
from bridge.history.history import SqlHistory
from tests.support.records import NOW, an_event

KINDS = [f"order.{number:02}" for number in range(30)]


@pytest.mark.parametrize(("most", "found"), [(1, 1), (7, 7), (30, 30), (100, 30)])
async def test_many_values_are_found_in_their_order_with_one_statement(
    history: SqlHistory, most: int, found: int
) -> None:
    made = [an_event(NOW + number, type=kind) for number in range(3) for kind in reversed(KINDS)]
    await history.commit([Unmatched(each) for each in made])
    sent: list[str] = []
    listen = (Engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    event.listen(*listen)
    try:
        kinds = await history.engine.read(
            lambda connection: distinct(
                connection, events.c.type, events.c.source == made[0].source, most=most
            )
        )
    finally:
        event.remove(*listen)

    assert kinds == KINDS[:found]
    assert len([one for one in sent if "events" in one]) == 1


async def test_a_column_without_rows_has_no_values(history: SqlHistory) -> None:
    assert await history.engine.read(lambda each: distinct(each, events.c.type, most=9)) == []
