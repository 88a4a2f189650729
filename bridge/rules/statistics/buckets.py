"""How long attempts took, kept as counts in buckets: percentiles of any span are then a sum and a look.

Four buckets for each doubling from 0.5 ms to 600 s: the edges of one are a fifth apart, and a percentile is told
within less than that.
"""

from bisect import bisect_left
from collections.abc import Mapping
from math import ceil, log2

LEAST_MS = 0.5
MOST_MS = 600_000.0
PER_DOUBLING = 4
_STEPS = ceil(PER_DOUBLING * log2(MOST_MS / LEAST_MS))
EDGES = [min(LEAST_MS * 2.0 ** (step / PER_DOUBLING), MOST_MS) for step in range(_STEPS + 1)]
"""Where each bucket ends, in milliseconds; what took just as long belongs to it. Those of a database rest on this."""
LAST = len(EDGES)
"""The bucket of all that took longer than MOST_MS; 0 is that of what took LEAST_MS or less."""


def bucket(duration_ms: float) -> int:
    """The number of the bucket that a duration falls into."""
    return bisect_left(EDGES, duration_ms)


def bounds(number: int) -> tuple[float, float]:
    """What a bucket reaches from and to, in milliseconds; the last one has no width."""
    low = EDGES[min(number, LAST) - 1] if number > 0 else 0.0
    return low, EDGES[min(max(number, 0), LAST - 1)]


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
