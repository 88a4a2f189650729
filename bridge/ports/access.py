"""What the admin API asks of the database about tokens, and where it writes who changed what."""

from collections.abc import Sequence
from typing import Protocol

from bridge.model.access import Deed, KnownToken
from bridge.model.value import value
from bridge.ports.records import Page


class Tokens(Protocol):
    """Bearer tokens, hashed. All raise HistoryUnavailable."""

    async def add_token(self, token: KnownToken, digest: str) -> bool:
        """Store it; False where one that is not revoked has the name already."""
        ...

    async def token_of(self, digest: str) -> KnownToken | None:
        """The one with this SHA-256 in hex, whatever its state."""
        ...

    async def tokens(self) -> Sequence[KnownToken]:
        """All that were ever made, by name."""
        ...

    async def revoke_token(self, token_id: str, at: float) -> bool:
        """No longer good; False where there is no such token that was."""
        ...

    async def tokens_used(self, used: dict[str, float]) -> None:
        """When each was used last, by its id."""
        ...


@value(frozen=True, slots=True)
class DeedFilter:
    """Which entries of the audit log: those that every given field fits. Times are Unix seconds."""

    actor: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    since: float | None = None
    until: float | None = None


class Audit(Protocol):
    """Who changed what. All raise HistoryUnavailable."""

    async def write_deed(self, deed: Deed) -> None: ...

    async def deeds(self, which: DeedFilter, *, after: str | None, limit: int) -> Page[Deed]:
        """Newest first; ValueError for a cursor that is none of ours."""
        ...

    async def forget_deeds(self, before: float, limit: int) -> int:
        """Delete at most `limit` of those older than that Unix time, the oldest first; how many these were."""
        ...
