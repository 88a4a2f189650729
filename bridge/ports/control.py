"""How the replicas of a bridge tell each other that something changed."""

from collections.abc import Callable
from typing import Literal, Protocol

Kind = Literal["hooks", "lane", "tokens", "jobs", "reload", "history"]
"""hooks: hooks or their states changed; lane: a hook has a lane now (`about` is its id); tokens: tokens changed; jobs:
a replay was made or cancelled, or something is in the outbox; reload: the file is to be read anew (`about` is the replica
that has done so); history: which history the bridge has that says so."""

UNSIGNED = "unsigned"
"""Last word of what is heard of `history` from somebody without our keys: that of a bridge with another history, or a
forged one.
"""


class Control(Protocol):
    """A word to all replicas, this one included; whoever misses it hears of everything within 30 s."""

    async def tell(self, kind: Kind, about: str = "") -> None:
        """Tell all; never raises: the database holds the truth, and everybody looks into it by and by."""
        ...

    def mention(self, kind: Kind, about: str = "") -> None:
        """`tell` in the background."""
        ...

    def listen(self, kind: Kind, heard: Callable[[str], None]) -> None:
        """Call `heard(about)` on the event loop for each word; with "" after a reconnect and every 30 s."""
        ...
