"""What each release of RabbitMQ grants by default; what a broker really grants is known from its answers."""

from bridge.core.base import value
from bridge.core.survey import release_of
from bridge.wire.effects import ASSUMED

_MIB = 1024**2


@value(frozen=True, slots=True)
class Release:
    """A release and those after it: `body`: bytes of the largest message (max_message_size), `retries`: quorum queues have
    a message TTL and dead-letter at least once, `maintained`: by its vendor, `delivery_limit`: that of quorum queues that set none.
    """

    since: tuple[int, int]
    body: int
    retries: bool = True
    maintained: bool = True
    delivery_limit: int | None = None


RELEASES = (
    Release((4, 0), 16 * _MIB, delivery_limit=ASSUMED),
    Release((3, 13), 128 * _MIB),
    Release((3, 10), 128 * _MIB, maintained=False),
    Release((0, 0), 128 * _MIB, retries=False, maintained=False),
)
"""The newest first."""


def granted(version: str) -> Release:
    """Returns what a broker of this version grants; an unknown version grants what the oldest does."""
    return next((each for each in RELEASES if release_of(version) >= each.since), RELEASES[-1])
