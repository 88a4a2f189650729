"""The deliveries that wait for one hook in this process, and the state of the hook's lane on the broker."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from math import inf

from bridge.pipeline.settlement import Work


@dataclass(slots=True)
class Lane:
    """The state of a hook's lane as this process knows it; only its HookQueue writes it."""

    exists: bool = False
    depth: int = 0
    """The broker's last count, corrected by the copies sent and received since."""
    parking: int = 0
    """Copies on their way into the lane that the broker has not confirmed."""
    reason: str = ""
    """The reason for which every delivery goes through the lane until the lane is empty; empty if there is none."""
    oldest: float = 0.0
    """Receive time of the oldest event that may wait in the lane, Unix seconds; 0 if the lane is empty."""


class HookQueue:
    """The deliveries of one hook that wait for a slot, straight from their sources or as copies from the lane."""

    __slots__ = ("_copies", "_direct", "_early", "_lane_turn", "lane")

    def __init__(self) -> None:
        self.lane = Lane()
        self._direct: deque[Work] = deque()
        self._copies: deque[Work] = deque()
        self._early: set[Work] = set()
        self._lane_turn = False

    # ---- waiting for a slot ---------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._direct) + len(self._copies)

    def add(self, work: Work) -> None:
        """Appends a delivery to the queue of its kind."""
        (self._copies if work.from_lane else self._direct).append(work)

    def next(self) -> Work | None:
        """Removes and returns the next delivery: in turn from the lane and from the sources while both have one."""
        self._lane_turn = not self._lane_turn
        copies, direct = self._copies, self._direct
        first, second = (copies, direct) if self._lane_turn else (direct, copies)
        if first:
            return first.popleft()
        return second.popleft() if second else None

    # ---- straight from a source -----------------------------------------------------------------------

    @property
    def direct(self) -> tuple[Work, ...]:
        """Returns the deliveries straight from a source that wait for a slot."""
        return tuple(self._direct)

    @property
    def oldest_direct(self) -> float:
        """Returns the receive time of the first delivery straight from a source that waits, Unix seconds; infinite if none does."""
        return self._direct[0].delivery.event.received_at if self._direct else inf

    @property
    def has_direct(self) -> bool:
        """Returns whether a delivery straight from a source waits for a slot."""
        return bool(self._direct)

    def received_before(self, moment: float) -> list[Work]:
        """Returns the deliveries straight from a source whose events were received before that Unix time."""
        if not self._direct or self._direct[0].delivery.event.received_at >= moment:
            return []
        return [work for work in self._direct if work.delivery.event.received_at < moment]

    def divert(self, works: Iterable[Work], reason: str) -> None:
        """Removes these deliveries, and uses the lane for this reason until it is empty."""
        out = set(works)
        self._direct = deque(work for work in self._direct if work not in out)
        self.lane.reason = reason

    def take_direct(self) -> list[Work]:
        """Removes and returns the deliveries straight from a source, none of which has started."""
        taken = list(self._direct)
        self._direct.clear()
        return taken

    def add_direct(self, works: Iterable[Work]) -> None:
        """Appends deliveries straight from a source."""
        self._direct.extend(works)

    # ---- copies from the lane -------------------------------------------------------------------------

    @property
    def holds_copies(self) -> bool:
        """Returns whether copies from the lane wait here, for a slot or until they are due."""
        return bool(self._copies or self._early)

    def keep_until_due(self, work: Work, seconds: float, due: Callable[[Work], None]) -> None:
        """Keeps a copy that arrived before its time; calls `due` with it after `seconds`, unless it was removed."""
        self._early.add(work)
        asyncio.get_running_loop().call_later(seconds, self._now_due, work, due)

    def _now_due(self, work: Work, due: Callable[[Work], None]) -> None:
        if work in self._early:
            self._early.discard(work)
            self._count_in_lane()
            due(work)

    def take_copies_of(self, deliveries: Collection[str]) -> list[Work]:
        """Removes and returns the waiting copies of these deliveries, which the fence is to check again."""
        taken = [work for work in self._copies if work.delivery.id in deliveries]
        for work in taken:
            self._copies.remove(work)
            self._count_in_lane()
        return taken

    def _count_in_lane(self) -> None:
        """Counts a copy as if it were still in the lane, until the fence lets it through."""
        self.lane.depth += 1

    def take_copies(self) -> list[Work]:
        """Removes and returns the copies from the lane, none of which has started."""
        taken = [*self._copies, *self._early]
        self._copies.clear()
        self._early.clear()
        return taken

    # ---- the lane -------------------------------------------------------------------------------------

    @property
    def lane_is_empty(self) -> bool:
        """Returns whether no message is in the lane, on its way into it, or here from it."""
        lane = self.lane
        return lane.depth <= 0 and not lane.parking and not self._copies and not self._early

    def lane_found(self, depth: int, now: float) -> None:
        """Notes that the lane exists with `depth` messages; their age is unknown and counts from now."""
        self.lane.exists = True
        self.lane.depth = depth
        if depth:
            self.lane.oldest = self.lane.oldest or now

    def lane_counted(self, depth: int) -> None:
        """Notes the number of ready messages in the lane, as the broker counted them."""
        self.lane.depth = depth
        if self.lane_is_empty:
            self.lane.oldest = 0.0

    def copy_received(self) -> None:
        """Notes that a copy was consumed from the lane."""
        self.lane.depth = max(0, self.lane.depth - 1)

    def copy_confirmed(self, received_at: float) -> None:
        """Notes that the broker confirmed a copy in the lane, of an event received at that time."""
        lane = self.lane
        lane.depth += 1
        if not lane.oldest or received_at < lane.oldest:
            lane.oldest = received_at

    def confirm_lane(self) -> bool:
        """Notes that the lane exists; returns True if that was not known."""
        known, self.lane.exists = self.lane.exists, True
        return not known

    def parking_started(self, copies: int = 1) -> Callable[[], None]:
        """Notes that copies are being published into the lane. Returns the function to call when that ends for one of them,
        whichever queue has the lane by then.
        """
        lane = self.lane
        lane.parking += copies

        def ended() -> None:
            lane.parking -= 1

        return ended

    def use_lane(self, reason: str) -> None:
        """Sends every delivery through the lane for this reason until the lane is empty; an empty reason ends that."""
        self.lane.reason = reason

    def take_over_lane(self, former: "HookQueue") -> None:
        """Takes over the lane of the queue that this one replaces."""
        self.lane, former.lane = former.lane, Lane()
