"""Messages with one id are published one after the other.

aiormq (7.2) matches what the broker returns by message id: of two with one id that are under way on a channel, the
one that a queue took would be told as returned, and the one that was returned as taken, which is a loss.
"""

import asyncio
from types import TracebackType


class Turns:
    """The messages under way, by id."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def of(self, message_id: str) -> "_Turn":
        """Entered once no other message with this id is under way."""
        return _Turn(self._waiting, message_id)


class _Turn:
    """One message's; a class of its own because a generator would cost each publish 3 us."""

    __slots__ = ("_id", "_waiting")

    def __init__(self, waiting: dict[str, list[asyncio.Future[None]]], message_id: str) -> None:
        self._waiting = waiting
        self._id = message_id

    async def __aenter__(self) -> None:
        while (others := self._waiting.get(self._id)) is not None:
            my_turn = asyncio.get_running_loop().create_future()
            others.append(my_turn)
            await my_turn
        self._waiting[self._id] = []

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._waiting.pop(self._id):
            if not each.done():
                each.set_result(None)
