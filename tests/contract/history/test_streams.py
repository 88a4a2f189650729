"""How far streams have been read: written with the fates of their messages, and never back."""

from dataclasses import replace

from bridge.core.delivery import Reached
from bridge.history.batches import SqlStreams
from bridge.history.history import SqlHistory
from tests.support.records import delivered

HERE = Reached("orders", 7, ahead=1 << 4000 | 0b101, digest="d", epoch=0, since=12.5)


async def test_a_place_is_written_in_the_transaction_of_the_fates_and_comes_back_as_it_was(
    history: SqlHistory,
):
    places: SqlStreams = SqlStreams(history.engine)
    assert await places.stored("orders") is None
    assert await history.commit([delivered(), HERE]) == []
    assert await places.stored("orders") == HERE
    assert await places.stored("others") is None
    assert await history.commit([replace(HERE, offset=2**40, ahead=0)]) == []
    assert await places.stored("orders") == replace(HERE, offset=2**40, ahead=0)


async def test_it_is_written_too_where_some_of_the_fates_were_there_before(history: SqlHistory):
    places = SqlStreams(history.engine)
    once = delivered()
    await history.commit([once])
    assert await history.commit([once, HERE, delivered()]) == []
    assert await places.stored("orders") == HERE


async def test_nobody_goes_back_but_in_a_stream_that_was_made_anew(history: SqlHistory):
    places = SqlStreams(history.engine)
    await places.store(HERE)
    await places.store(replace(HERE, offset=3))
    assert await places.stored("orders") == HERE
    anew = replace(HERE, offset=-1, epoch=1)
    await places.store(anew)
    assert await places.stored("orders") == anew
