"""How long attempts took, kept as counts in buckets: percentiles of any span are then a sum and a look.

Four buckets for each doubling from 0.5 ms to 600 s: the edges of one are a fifth apart, and a percentile is told
within less than that.
"""

from collections.abc import Mapping
from math import ceil, log2

LEAST_MS = 0.5
MOST_MS = 600_000.0
PER_DOUBLING = 4
LAST = ceil(PER_DOUBLING * log2(MOST_MS / LEAST_MS)) + 1
"""The bucket of all that took longer than MOST_MS; 0 is that of what took LEAST_MS or less."""


def bucket(duration_ms: float) -> int:
    """The number of the bucket that a duration falls into."""
    if duration_ms <= LEAST_MS:
        return 0
    if duration_ms > MOST_MS:
        return LAST
    return ceil(PER_DOUBLING * log2(duration_ms / LEAST_MS))


def bounds(number: int) -> tuple[float, float]:
    """What a bucket reaches from and to, in milliseconds; the last one has no width."""
    if number <= 0:
        return 0.0, LEAST_MS
    low = LEAST_MS * 2.0 ** ((number - 1) / PER_DOUBLING)
    high = LEAST_MS * 2.0 ** (number / PER_DOUBLING)
    return min(low, MOST_MS), min(high, MOST_MS)


def percentile(durations: Mapping[int, int], share: float) -> float | None:
    """The duration in milliseconds that this share of all stays within; None where there is none.

    Within a bucket durations are taken as evenly spread. Beyond MOST_MS nothing is told apart: it is MOST_MS.
    """
    left = share * sum(durations.values())
    found: float | None = None
    for number in sorted(durations):
        count = durations[number]
        if count <= 0:
            continue
        low, high = bounds(number)
        found = low + (high - low) * min(1.0, max(0.0, left / count))
        if left <= count:
            return found
        left -= count
    return found
