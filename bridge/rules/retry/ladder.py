"""How a wait is composed of delay queues of fixed times: never early, little late, few hops."""

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
