"""Roles, tokens and the audit log of the admin API, and the ports to their tables."""

from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol

from bridge.core.base import value

ACTING: ContextVar[str] = ContextVar("acting", default="bridge")
"""The name of the token whose request is handled."""


class Role(StrEnum):
    """The role of a token. Each role includes the permissions of the role before it."""

    VIEWER = "viewer"
    """Reads everything, changes nothing."""
    OPERATOR = "operator"
    """Operates the bridge: pause, resume, enable, disable, test, retry, cancel, replay, quarantine, publish."""
    ADMIN = "admin"
    """Manages hooks and their secrets, tokens and the audit log."""

    def may(self, wanted: "Role") -> bool:
        """Returns whether this role grants the permissions of the role `wanted`."""
        return wanted in GRANTED[self]


GRANTED = {role: frozenset(list(Role)[: rank + 1]) for rank, role in enumerate(Role)}
"""The roles whose permissions each role has."""


@value(frozen=True, slots=True)
class Actor:
    """The caller: name and role of the token; `admin` for `http.admin_token`, `bridge` for the bridge itself."""

    name: str
    role: Role
    token_id: str | None = None


@value(frozen=True, slots=True)
class AuditEntry:
    """An entry of the audit log; `at` is in Unix seconds, `detail` JSON without secrets: changed values and counts."""

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
    """A token as it is stored, without the token itself. Times are in Unix seconds."""

    id: str
    name: str
    role: Role
    created_at: float
    created_by: str
    last_used_at: float | None
    expires_at: float | None
    revoked_at: float | None


# Ports: tokens and the audit log in the database.


class TokenStore(Protocol):
    """The port to stored bearer tokens, which are kept as hashes. Each method raises HistoryUnavailable."""

    async def token_of(self, digest: str) -> KnownToken | None:
        """Returns the token with this SHA-256 digest (hex), revoked or not."""

    async def tokens_used(self, used: dict[str, float]) -> None:
        """Store the time of last use of each token, by token id."""


@value(frozen=True, slots=True)
class DeedFilter:
    """A filter for the audit log. An entry must match every field that is set. Times are in Unix seconds."""

    actor: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    since: float | None = None
    until: float | None = None
    request_id: str | None = None


class Audit(Protocol):
    """The port to the audit log. Each method raises HistoryUnavailable."""

    async def write_deed(self, deed: AuditEntry) -> None: ...
