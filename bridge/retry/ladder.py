"""Prefetch limits of lanes, the retry ladder, and a paced rate."""

MOST = 200
_MOST_ROUNDS = 8
_LESS = 0.75


def lane_prefetch(concurrency: int, rate: float | None, timeout: float, longest_hold: float) -> int:
    """Returns the prefetch that keeps all slots busy while commits are pending, within the broker's consumer timeout.

    `timeout` of an attempt and `longest_hold`, a quarter of the broker's consumer timeout, are in seconds; `rate` is
    attempts per second, None: unlimited. All messages start within `longest_hold`; if that allows less than two rounds
    of attempts, the prefetch is two rounds if both end within three quarters of the consumer timeout, else one.
    """
    rounds = min(_MOST_ROUNDS, int(longest_hold / max(timeout, 1.0)))
    if rounds < 2:
        rounds = 2 if 2 * timeout <= 3 * longest_hold else 1
    turns = MOST if rate is None else int(rate * longest_hold)
    return max(1, min(rounds * concurrency, MOST, turns))


def fitting_prefetch(messages: int, byte_count: int, prefetch: int, *, share: int, most: int) -> int:
    """Returns the prefetch with which messages take up to `share` bytes, at most `most`.

    The average size of the held messages is the estimate. Each change renews the consumer, so small changes are
    ignored, and the prefetch is raised only if the present one is exhausted.
    """
    if not messages:
        return prefetch
    fit = max(1, min(most, share * messages // max(byte_count, 1)))
    if fit < prefetch * _LESS:
        return fit
    used_up = 2 * messages >= prefetch
    return fit if used_up and fit > prefetch and (fit == most or fit >= 2 * prefetch) else prefetch


# The retry ladder: a wait is composed of delay queues with fixed TTLs: never early, little late, few hops.


STEPS = (5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 36_000)
"""The TTL of each delay queue in seconds."""

MOST_LATE_SHARE = 0.1
MOST_LATE_SECONDS = 2.0
"""A wait may be lengthened by a tenth or by this many seconds, whichever is more."""


def fit(wait: float) -> float:
    """Returns the wait to plan instead of `wait`: equal or a little longer, so that few hops compose it.

    Greedy from the longest step down; at each step one more hop may end the wait if that is not too late. The fewest
    hops win, then the earliest; the rest that is waited for at the lane counts as one hop.
    """
    if wait < STEPS[0]:
        return max(wait, 0.0)
    latest = wait + max(wait * MOST_LATE_SHARE, MOST_LATE_SECONDS)
    plans = []
    planned = hops = 0
    for step in reversed(STEPS):
        count = int((wait - planned) // step)
        planned += count * step
        hops += count
        if planned + step <= latest:
            plans.append((hops + 1, float(planned + step)))
    plans.append((hops + (planned < wait), wait))
    return min(plans)[1]


def next_step(remaining: float) -> int | None:
    """Returns the TTL of the delay queue for a copy due in `remaining` seconds; None: too short, the copy waits in its
    lane.

    A step may exceed `remaining` by up to two seconds: earlier hops took slightly longer than their TTLs, which must
    not add many short hops.
    """
    if remaining < STEPS[0]:
        return None
    return next(step for step in reversed(STEPS) if step <= remaining + MOST_LATE_SECONDS)


# Rate pacing: a number per second, spread evenly.


_BURST = 1.0
"""The burst in seconds' worth that may be caught up on after a delay."""
_STEP = 0.1
"""The batch in seconds' worth at high rates: each step costs a transaction."""


class Pace:
    """A token bucket that spreads its rate evenly; callers pass the time, in monotonic seconds."""

    def __init__(self, rate: float | None, now: float) -> None:
        """Start the pace: `rate` per second; None: unlimited."""
        self._rate = rate
        self._next = now

    def due(self, now: float, most: int) -> int:
        """Returns how many may start now, at most `most`."""
        if self._rate is None:
            return most
        self._next = max(self._next, now - _BURST)
        if now < self._next:
            return 0
        return min(most, int((now - self._next) * self._rate) + 1)

    def went(self, count: int) -> None:
        """Record that this many started."""
        if self._rate is not None:
            self._next += count / self._rate

    def wait(self, now: float) -> float:
        """Returns the seconds until more may start."""
        if self._rate is None:
            return 0.0
        together = max(0.0, _STEP - 1 / self._rate)
        return max(0.0, self._next + together - now)
