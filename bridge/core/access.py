"""Who may do what through the admin API."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from bridge.core.base import value
from bridge.core.records import Page


class Role(StrEnum):
    """What a token is good for; each role may do what the one before it may."""

    VIEWER = "viewer"
    """Looks at everything, changes nothing."""
    OPERATOR = "operator"
    """Runs it: pause, resume, enable, disable, test, retry, cancel, replay, quarantine, publish."""
    ADMIN = "admin"
    """Sets it up: hooks and their secrets, tokens, the audit log."""

    def may(self, wanted: "Role") -> bool:
        """Whether this role is enough where `wanted` is asked for."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(wanted)


@value(frozen=True, slots=True)
class Actor:
    """Who does something: the name and role of a token. `http.admin_token` is `admin`; the bridge itself `bridge`."""

    name: str
    role: Role
    token_id: str | None = None


@value(frozen=True, slots=True)
class AuditEntry:
    """What somebody changed. `at` in Unix seconds; `detail` is JSON without secrets: what changed, with how many."""

    id: str
    at: float
    actor: str
    role: str
    action: str
    """The name of the operation, such as `hooks.pause`."""
    object_type: str
    object_id: str
    request_id: str
    remote: str
    detail: str


@value(frozen=True, slots=True)
class KnownToken:
    """A token as it is recorded: never the token itself. Times in Unix seconds."""

    id: str
    name: str
    role: Role
    created_at: float
    created_by: str
    last_used_at: float | None
    expires_at: float | None
    revoked_at: float | None


# What the admin API asks of the database about tokens, and where it writes who changed what.


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

    async def write_deed(self, deed: AuditEntry) -> None: ...

    async def deeds(self, which: DeedFilter, *, after: str | None, limit: int) -> Page[AuditEntry]:
        """Newest first; ValueError for a cursor that is none of ours."""
        ...

    async def forget_deeds(self, before: float, limit: int) -> int:
        """Delete at most `limit` of those older than that Unix time, the oldest first; how many these were."""
        ...
