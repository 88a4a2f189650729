"""The use cases of access: create, list and revoke tokens; the audit log."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.access.store import SqlAccess
from bridge.core.access import Actor, AuditEntry, KnownToken, Role
from bridge.core.base import StrictModel, seconds
from bridge.core.errors import HistoryUnavailable
from bridge.core.ports import Control
from bridge.http.auth import LENGTH, LETTERS, PREFIX, Actors, digest_of
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.http.operation import AuditLog

# The documents of tokens and the audit log.


_LONGEST = 3660 * 86_400

Lifetime = Annotated[
    float,
    BeforeValidator(seconds),
    Field(ge=1, le=_LONGEST),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 1, "maximum": _LONGEST},
                {"type": "string", "pattern": r"^[1-9][0-9]{0,2}[smhd]$"},
            ]
        }
    ),
]
"""Seconds, or text such as 90d, 12h, 30m."""


class NewToken(StrictModel):
    """A token to be created."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@:+-]{0,63}$", examples=["grafana"])
    """Name of its user, which appears in the audit log. Unique among tokens that are not revoked."""
    role: Role
    """Permissions: viewer reads, operator runs, admin configures."""
    expires_in: Lifetime | None = Field(default=None, examples=["90d"])
    """Lifetime: seconds, or text such as 90d; default: until it is revoked."""


class TokenDocument(ClosedDocument):
    """A token without its secret text."""

    id: str
    """Id of the token."""
    name: str
    """Name of its user."""
    role: Role
    """Permissions."""
    created_at: UtcMoment
    """When it was created."""
    created_by: str
    """Name of the token that created it."""
    last_used_at: UtcMoment | None
    """When it was last used, accurate to some seconds; null: never."""
    expires_at: UtcMoment | None
    """When it expires; null: it does not."""
    revoked_at: UtcMoment | None
    """When it was revoked."""


class MadeToken(TokenDocument):
    """A token that was just created."""

    token: str
    """Text to send as `Authorization: Bearer ...`; only this response has it."""


RESERVED = frozenset({"admin", "bridge"})
"""Names that the audit log uses for `http.admin_token` and for the bridge itself."""


class TokenDesk:
    """Creates and revokes tokens."""

    def __init__(
        self, tokens: SqlAccess, new_id: Callable[[], str], changed: Callable[[], Awaitable[None]]
    ) -> None:
        """`changed` is called after every change, to notify all replicas."""
        self._tokens = tokens
        self._new_id = new_id
        self._changed = changed

    async def make(self, asked: NewToken, maker: Actor) -> MadeToken | None:
        """Creates a token and returns it with its secret text, which is not stored; None if the name is taken."""
        if asked.name in RESERVED:
            return None
        now = time.time()
        token = KnownToken(
            id=self._new_id(),
            name=asked.name,
            role=asked.role,
            created_at=now,
            created_by=maker.name,
            last_used_at=None,
            expires_at=None if asked.expires_in is None else now + asked.expires_in,
            revoked_at=None,
        )
        text = PREFIX + "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        if not await self._tokens.add_token(token, digest_of(text)):
            return None
        await self._changed()
        return MadeToken.unchecked(token, token=text)

    async def listed(self, *, revoked: bool) -> Sequence[KnownToken]:
        """Returns the tokens that are not revoked, or with `revoked` all, by name."""
        return [token for token in await self._tokens.tokens() if revoked or token.revoked_at is None]

    async def find(self, name: str) -> KnownToken | None:
        """Returns the token with this id, or else the one with this name that is not revoked."""
        every = await self._tokens.tokens()
        by_name = (token for token in every if token.name == name and token.revoked_at is None)
        return next((token for token in every if token.id == name), None) or next(by_name, None)

    async def revoke(self, name: str) -> KnownToken | None:
        """Revokes the token, looked up as by `find`, and returns it; None if it does not exist, or was revoked before."""
        token = await self.find(name)
        if token is None or not await self._tokens.revoke_token(token.id, time.time()):
            return None
        await self._changed()
        return token


# Access control of a running bridge: tokens and the audit log, in the history's database.


_USES_EVERY = 5.0
_FORGET_EVERY = 600.0
_AT_ONCE = 500


class Access:
    """The parts of the API for tokens and the audit log."""

    def __init__(
        self,
        tokens: SqlAccess,
        audit: SqlAccess,
        *,
        admin_token: str | None,
        new_id: Callable[[], str],
        control: Control | None = None,
        audited: Callable[[AuditEntry], None] = lambda _entry: None,
    ) -> None:
        """`admin_token` is None if there is none; `control` reaches other replicas; `audited` is called with every entry of
        the audit log.
        """
        self.actors = Actors(tokens, admin_token)
        self.desk = TokenDesk(tokens, new_id, self._changed)
        self.audit = audit
        self.log = AuditLog(audit, new_id, audited)
        self._control = control
        if control is not None:
            control.listen("tokens", lambda _about: self.actors.forget())

    async def _changed(self) -> None:
        self.actors.forget()
        if self._control is not None:
            await self._control.tell("tokens")

    async def run(self, keep: float, *, every: float = _USES_EVERY) -> None:
        """Writes the times of last use, and deletes entries of the audit log older than `keep` seconds, until cancelled."""
        forget_at = 0.0
        while True:
            await asyncio.sleep(every)
            await self.actors.write_uses()
            if time.monotonic() >= forget_at:
                forget_at = time.monotonic() + _FORGET_EVERY
                await self._forget(time.time() - keep)

    async def _forget(self, before: float) -> None:
        """Deletes old entries. Replicas may do so at the same time: each deletes what the others have left."""
        forgotten = _AT_ONCE
        # The recorder reports an outage of the database, and this can wait.
        with suppress(HistoryUnavailable):
            while forgotten == _AT_ONCE:
                forgotten = await self.audit.forget_deeds(before, _AT_ONCE)
                await asyncio.sleep(0.05)  # so that group commits can run in between
