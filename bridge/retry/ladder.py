"""How many messages of a queue may be held at once: none for longer than the broker bears, all within memory."""

MOST = 200
_MOST_ROUNDS = 8
_LESS = 0.75


def lane_prefetch(concurrency: int, rate: float | None, timeout: float, longest_hold: float) -> int:
    """Enough to keep all slots busy while what is done waits for its commit, and no more than comes to its turn in time.

    `timeout` of an attempt and `longest_hold`, a quarter of the broker's patience, are in seconds; `rate` is attempts
    per second, None: any. Normally all comes to its turn within that quarter; where that makes less than two rounds
    of attempts there are two, if both end within three quarters, else one.
    """
    rounds = min(_MOST_ROUNDS, int(longest_hold / max(timeout, 1.0)))
    if rounds < 2:
        rounds = 2 if 2 * timeout <= 3 * longest_hold else 1
    turns = MOST if rate is None else int(rate * longest_hold)
    return max(1, min(rounds * concurrency, MOST, turns))


def fitting_prefetch(messages: int, octets: int, prefetch: int, *, share: int, most: int) -> int:
    """How many messages may be handed out at once so that they take up to `share` bytes, and `most` in number.

    Those that are held now tell how heavy they are. A consumer is renewed for each change, so that small ones are
    passed over, and more is asked for only where the present number is used up.
    """
    if not messages:
        return prefetch
    fit = max(1, min(most, share * messages // max(octets, 1)))
    if fit < prefetch * _LESS:
        return fit
    used_up = 2 * messages >= prefetch
    return fit if used_up and fit > prefetch and (fit == most or fit >= 2 * prefetch) else prefetch


# How a wait is composed of delay queues of fixed times: never early, little late, few hops.


STEPS = (5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 36_000)
"""Seconds that each delay queue holds a copy."""

MOST_LATE_SHARE = 0.1
MOST_LATE_SECONDS = 2.0
"""A wait may be lengthened by a tenth of it or by two seconds, whichever is more."""


def fit(wait: float) -> float:
    """The wait to plan for in place of `wait`: as long or a little longer, so that few hops make it up.

    From the longest step down, as many as fit are taken, and at each step one more may end it if that is not
    too late. The fewest hops win, among those the earliest; to wait at the lane counts as one.
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
    """The delay queue for a copy that is due `remaining` seconds from now; None: too short, its lane waits.

    A step may be up to two seconds longer than what remains: the hops before took a little longer than
    their times, and that must not turn one hop into many.
    """
    if remaining < STEPS[0]:
        return None
    return next(step for step in reversed(STEPS) if step <= remaining + MOST_LATE_SECONDS)


# An even pace: so many in a second, spread over it.


_BURST = 1.0
"""Seconds' worth that may be caught up with after a delay, no more."""
_STEP = 0.1
"""Seconds' worth that go together where many go in a second: each step costs a transaction."""


class Pace:
    """When how many may go; times are monotonic seconds, which the caller tells."""

    def __init__(self, rate: float | None, now: float) -> None:
        """`rate` per second; None: any number at any time."""
        self._rate = rate
        self._next = now

    def due(self, now: float, most: int) -> int:
        """How many may go now, at most so many."""
        if self._rate is None:
            return most
        self._next = max(self._next, now - _BURST)
        if now < self._next:
            return 0
        return min(most, int((now - self._next) * self._rate) + 1)

    def went(self, count: int) -> None:
        """So many went."""
        if self._rate is not None:
            self._next += count / self._rate

    def wait(self, now: float) -> float:
        """Seconds until it is worth looking again."""
        if self._rate is None:
            return 0.0
        together = max(0.0, _STEP - 1 / self._rate)
        return max(0.0, self._next + together - now)
