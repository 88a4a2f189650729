"""Bridges with one prefix and different histories find each other: the newcomer gives way, later both tell."""

import asyncio
from collections.abc import Callable

import pytest

from bridge.cluster import replicas
from bridge.cluster.replicas import Neighbours
from bridge.core.errors import AlreadyRunning


class Air:
    """What all say, heard by all."""

    def __init__(self) -> None:
        self.ears: list[Callable[[str], None]] = []
        self.words: list[str] = []


class Voice:
    """One bridge's control."""

    def __init__(self, air: Air) -> None:
        self._air = air

    async def tell(self, kind: str, about: str = "") -> None:
        """Nothing is told so here."""

    def mention(self, kind: str, about: str = "") -> None:
        """Heard by all, and by oneself."""
        assert kind == "history"
        self._air.words.append(about)
        for heard in self._air.ears:
            heard(about)

    def listen(self, kind: str, heard: Callable[[str], None]) -> None:
        assert kind == "history"
        self._air.ears.append(heard)


async def ended(one: Neighbours) -> bool:
    """Whether it gives way."""
    running = asyncio.create_task(one.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if running.done():
        with pytest.raises(AlreadyRunning, match="prefix 'bridge' on this broker with another history"):
            await running
        return True
    running.cancel()
    return False


async def test_the_newcomer_gives_way_and_the_other_is_none_the_worse(monkeypatch: pytest.MonkeyPatch):
    air = Air()
    monkeypatch.setattr(replicas, "_NEWCOMER", 0.0)
    old = Neighbours(Voice(air), "bridge", "one")
    air.ears[0]("")
    monkeypatch.setattr(replicas, "_NEWCOMER", 10.0)
    new = Neighbours(Voice(air), "bridge", "two")
    air.ears[1]("")

    assert await ended(new)
    assert not await ended(old)
    assert old.problem == ""


async def test_who_meet_later_both_tell_until_one_is_gone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(replicas, "_NEWCOMER", 0.0)
    air = Air()
    both = [Neighbours(Voice(air), "bridge", name) for name in ("one", "two")]
    for heard in list(air.ears):
        heard("")

    assert [await ended(one) for one in both] == [False, False]
    assert all("with another history" in one.problem for one in both)
    monkeypatch.setattr(replicas, "_SHARED", -1.0)
    assert [one.problem for one in both] == ["", ""]
    # An answer is answered by nobody: the air would never be still.
    assert len(air.words) == 4


@pytest.mark.parametrize("word", ["x here unsigned", "x unsigned", "x", "x nonsense", "unsigned"])
async def test_a_word_that_may_be_forged_ends_nobody(word: str):
    air = Air()
    one = Neighbours(Voice(air), "bridge", "one")
    air.ears[0](word)

    assert not await ended(one)
    assert bool(one.problem) == (word == "x here unsigned")


async def test_hellos_are_answered_once_in_a_while_only():
    air = Air()
    Neighbours(Voice(air), "bridge", "one")
    for number in range(50):
        air.ears[0](f"{number} hello unsigned")

    assert air.words == ["one here"]


async def test_replicas_of_one_history_are_no_strangers():
    air = Air()
    both = [Neighbours(Voice(air), "bridge", "one") for _ in range(2)]
    for heard in list(air.ears):
        heard("")

    assert [await ended(one) for one in both] == [False, False]
    assert {one.problem for one in both} == {""}
