"""Where a hook delivers."""

from typing import Protocol

from bridge.model.delivery import Answer, Delivery
from bridge.model.evidence import Evidence
from bridge.model.value import value


@value(frozen=True, slots=True)
class Preview:
    """What an attempt would send: all of it but the body as the history keeps it, and the body."""

    evidence: Evidence
    content: bytes
    content_type: str | None = None


class Target(Protocol):
    """One hook's way out: a webhook, a script, a queue."""

    async def attempt(self, delivery: Delivery) -> Answer:
        """Try once, within the target's own time limit; every fault is an Answer, never an exception."""
        ...

    def preview(self, delivery: Delivery) -> Preview | Answer:
        """What an attempt would send now; where it could not be built, the Answer that says why."""
        ...

    async def close(self) -> None:
        """Let go of what this target holds; attempts under way have ended before."""
        ...
