"""Idempotency keys: the same on every database."""

import asyncio

import pytest

from bridge.core.ports import Begun
from bridge.history.history import SqlHistory
from bridge.publishing.service import SqlIdempotency
from tests.support.records import NOW

DAY = 86_400.0


@pytest.fixture
def keys(history: SqlHistory) -> SqlIdempotency:
    return SqlIdempotency(history.engine)


async def test_the_first_goes_on_and_the_second_hears_its_answer_for_a_day(keys):
    assert await keys.begin("k", "digest", "first", NOW) == Begun("go", "first")
    await keys.done("k")

    assert await keys.begin("k", "digest", "second", NOW + DAY - 1) == Begun("done", "first")
    assert await keys.begin("k", "digest", "third", NOW + DAY + 1) == Begun("go", "third")


async def test_a_key_is_good_for_one_request_only(keys):
    await keys.begin("k", "digest", "first", NOW)

    assert await keys.begin("k", "other", "second", NOW) == Begun("other")
    await keys.done("k")
    assert await keys.begin("k", "other", "second", NOW) == Begun("other")
    assert await keys.begin("another", "other", "second", NOW) == Begun("go", "second")


async def test_while_one_is_under_way_the_next_is_told_so(keys):
    await keys.begin("k", "digest", "first", NOW)

    assert await keys.begin("k", "digest", "second", NOW + 59) == Begun("busy")


async def test_after_a_failure_the_next_begins_with_the_answer_that_was_planned_first(keys):
    await keys.begin("k", "digest", "first", NOW)
    await keys.failed("k")

    assert await keys.begin("k", "digest", "second", NOW) == Begun("go", "first")
    assert await keys.begin("k", "digest", "third", NOW) == Begun("busy")


async def test_what_a_crash_cut_off_is_begun_again_after_a_minute(keys):
    await keys.begin("k", "digest", "first", NOW)

    assert await keys.begin("k", "digest", "second", NOW + 61) == Begun("go", "first")


async def test_of_many_at_once_one_goes_on(keys):
    begun = await asyncio.gather(*(keys.begin("k", "digest", f"{number}", NOW) for number in range(20)))

    assert sorted(each.state for each in begun) == ["busy"] * 19 + ["go"]
