"""What was made of large events ahead, in a thread, where it holds up nobody."""

from typing import Generic, TypeVar

from bridge.core.event import Event, Message

T = TypeVar("T")

_MOST = 10_000


class Precomputed(Generic[T]):
    """One thing of each event, noted in a thread and taken once on the event loop, soon."""

    def __init__(self) -> None:
        # By the message, which stays when the event gets the id that it had before. An entry keeps it, so that no other
        # one is taken for it.
        self._found: dict[int, tuple[Message, T]] = {}

    def note(self, event: Event, found: T) -> None:
        """Keep it until it is taken; much that nobody takes goes."""
        if len(self._found) >= _MOST:
            self._found = {}
        self._found[id(event.message)] = (event.message, found)

    def take(self, event: Event, otherwise: T) -> T:
        """What was noted of the event."""
        if not self._found:
            return otherwise
        noted = self._found.pop(id(event.message), None)
        return otherwise if noted is None else noted[1]
