"""Where a hook delivers."""

from typing import Protocol

from bridge.model.delivery import Answer, Delivery


class Target(Protocol):
    """One hook's way out: a webhook, a script, a queue."""

    async def attempt(self, delivery: Delivery) -> Answer:
        """Try once, within the target's own time limit; every fault is an Answer, never an exception."""
        ...

    async def close(self) -> None:
        """Let go of what this target holds; attempts under way have ended before."""
        ...
