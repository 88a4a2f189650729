"""How long a hook has only failed, and which words that is worth."""

from bridge.model.value import value

LEVELS = (50, 70, 90, 100)
"""Per cent of the time after which a hook that only fails is paused."""
FEWEST = 3
"""Failed attempts without which nothing is said: a hook that hardly gets events may be well again by now."""


@value(frozen=True, slots=True)
class Standing:
    """How a hook has fared, and what was told of it. Times in Unix seconds; None: never.

    `failed_attempts` counts since the last success, `failing_since` is the first of them. `warned` is the highest of
    the LEVELS that was told (0: none), of a time that began at `warned_since`. `attended_at`: when a person last resumed
    or changed the hook, as far as that is recorded.
    """

    hook: str
    failing_since: float | None = None
    last_failure_at: float | None = None
    last_success_at: float | None = None
    failed_attempts: int = 0
    warned: int = 0
    warned_since: float | None = None
    attended_at: float = 0.0


@value(frozen=True, slots=True)
class Told:
    """What is to be told now: that it recovered, or the `levels` it has reached, of a time that began at `since`."""

    recovered: bool = False
    levels: tuple[int, ...] = ()
    since: float = 0.0


def words_for(standing: Standing, threshold: float) -> Told:
    """What has to be told of a hook that is paused after `threshold` seconds of nothing but failures; 0: never.

    Once somebody has attended to it, it has all the time again. The time ends with the last failure: of a hook that
    gets no events nobody knows whether it would still fail.
    """
    if standing.warned and _later(standing.last_success_at, standing.warned_since):
        return Told(recovered=True)
    failing_since, last = standing.failing_since, standing.last_failure_at
    if failing_since is None or last is None or threshold <= 0 or standing.failed_attempts < FEWEST:
        return Told()
    since = max(failing_since, standing.attended_at)
    told = standing.warned if standing.warned_since == since else 0
    percent = 100 * (last - since) / threshold
    return Told(levels=tuple(level for level in LEVELS if told < level <= percent), since=since)


def _later(moment: float | None, than: float | None) -> bool:
    return moment is not None and (than is None or moment > than)
