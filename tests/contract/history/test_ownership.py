"""A history is one bridge's: told by its prefix, its broker's name and the virtual host."""

import asyncio

import pytest

from bridge.core.errors import SettingsError
from bridge.core.survey import Owner
from bridge.db.engine import SqlOwnership, owner_of
from bridge.history.history import SqlHistory

OURS = Owner("bridge", "rabbit@one", "/")


@pytest.fixture
def ownership(history: SqlHistory) -> SqlOwnership:
    return SqlOwnership(history.engine)


async def test_the_first_has_it_and_its_replicas_too(history: SqlHistory, ownership: SqlOwnership):
    claimed = await asyncio.gather(*(ownership.claim(OURS) for _ in range(4)))

    assert len(set(claimed)) == 1
    assert await history.engine.read(owner_of) == OURS


@pytest.mark.parametrize(
    "other",
    [
        OURS._replace(prefix="staging"),
        OURS._replace(broker="rabbit@two"),
        OURS._replace(vhost="staging"),
    ],
)
async def test_another_is_refused_with_both_names_and_what_to_do(
    history: SqlHistory, ownership: SqlOwnership, other: Owner
):
    await ownership.claim(OURS)
    with pytest.raises(SettingsError) as refused:
        await ownership.claim(other)

    (problem,) = refused.value.problems
    assert problem.path == "storage.url"
    assert f"`{OURS}`" in problem.message
    assert f"`{other}`" in problem.message
    assert f"BRIDGE_STORAGE__TAKE_OVER='{OURS}'" in problem.message
    assert await history.engine.read(owner_of) == OURS


async def test_who_names_the_owner_takes_it_over_and_the_former_one_is_refused(
    history: SqlHistory, ownership: SqlOwnership
):
    renamed = OURS._replace(broker="rabbit@two")
    before = await ownership.claim(OURS)

    assert await ownership.claim(renamed, str(OURS)) != before
    assert await history.engine.read(owner_of) == renamed
    # It may stay in the settings.
    await ownership.claim(renamed, str(OURS))
    with pytest.raises(SettingsError):
        await ownership.claim(OURS)


async def test_who_names_another_owner_takes_nothing(ownership: SqlOwnership):
    await ownership.claim(OURS)
    with pytest.raises(SettingsError):
        await ownership.claim(OURS._replace(prefix="b"), str(OURS._replace(prefix="c")))


async def test_a_broker_that_tells_no_name_may_be_any_until_it_tells_one(
    history: SqlHistory, ownership: SqlOwnership
):
    nameless = OURS._replace(broker="")
    await ownership.claim(nameless)
    await ownership.claim(OURS)
    await ownership.claim(nameless)

    assert await history.engine.read(owner_of) == OURS
