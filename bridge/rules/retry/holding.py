"""How many messages of a lane may be held at once, so that none is held for longer than the broker bears."""

MOST = 200
_MOST_ROUNDS = 8


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
