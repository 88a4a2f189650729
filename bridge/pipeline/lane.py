"""What this process knows of a hook's lane: how much waits there, and since when it is served through it."""

from collections import deque
from dataclasses import dataclass, field

from bridge.pipeline.settle import Work


@dataclass(slots=True)
class Lane:
    """A hook's lane as seen from here. `depth` is the broker's last count, corrected by what we did since."""

    exists: bool = False
    depth: int = 0
    parking: int = 0
    waiting: deque[Work] = field(default_factory=deque)
    """Copies consumed from the lane that wait for a slot."""
    later: set[Work] = field(default_factory=set)
    """Copies consumed a little before their time."""
    mode: str = ""
    """Why everything goes through the lane until it is empty; empty: it need not."""
    oldest: float = 0.0
    """When the oldest event that may wait there was received, Unix seconds; 0 where nothing waits."""

    @property
    def empty(self) -> bool:
        """Nothing waits in the lane, on its way into it, or here from it."""
        return self.depth <= 0 and not self.parking and not self.waiting and not self.later

    def found(self, depth: int, now: float) -> None:
        """The lane was there already, with so many messages; none of them is older than it is known here."""
        self.exists = True
        self.depth = depth
        if depth:
            self.oldest = self.oldest or now

    def copy_sent(self, received_at: float) -> None:
        """A copy was confirmed in the lane."""
        self.exists = True
        self.depth += 1
        if not self.oldest or received_at < self.oldest:
            self.oldest = received_at

    def copy_came(self) -> None:
        """A copy was consumed from the lane."""
        self.depth = max(0, self.depth - 1)

    def counted(self, depth: int) -> None:
        """The broker counted so many ready messages."""
        self.depth = depth
        if self.empty:
            self.oldest = 0.0
