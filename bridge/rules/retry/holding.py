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
