"""Tokens: made, listed and revoked."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.access.store import SqlAccess
from bridge.core.access import Actor, KnownToken, Role
from bridge.core.base import StrictModel, seconds
from bridge.core.errors import HistoryUnavailable
from bridge.core.ports import Control
from bridge.formats.text import utc_seconds
from bridge.http.audit import AuditLog
from bridge.http.auth import LENGTH, LETTERS, PREFIX, Actors, digest_of
from bridge.http.documents import ClosedDocument, UtcMoment, moment_or_none

# Tokens and the audit log, as the API takes and shows them.


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
    """A token to be made."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@:+-]{0,63}$", examples=["grafana"])
    """Who it is for; stands in the audit log. One that is not revoked has it for itself."""
    role: Role
    """What it is good for: viewer looks, operator runs, admin sets up."""
    expires_in: Lifetime | None = Field(default=None, examples=["90d"])
    """How long it is good for: seconds, or text such as 90d; default: until it is revoked."""


class TokenDocument(ClosedDocument):
    """A token, never the text that is shown for it."""

    id: str
    """Its id."""
    name: str
    """Who it is for."""
    role: Role
    """What it is good for."""
    created_at: UtcMoment
    """When it was made."""
    created_by: str
    """Name of the token with which it was made."""
    last_used_at: UtcMoment | None
    """When it was shown last, to within some seconds; null: never."""
    expires_at: UtcMoment | None
    """Until when it is good; null: until it is revoked."""
    revoked_at: UtcMoment | None
    """Since when it is good no longer."""

    @classmethod
    def of(cls, known: KnownToken, **more: str) -> Self:
        """The token; `more` are further members."""
        return cls(
            id=known.id,
            name=known.name,
            role=known.role,
            created_at=utc_seconds(known.created_at),
            created_by=known.created_by,
            last_used_at=moment_or_none(known.last_used_at),
            expires_at=moment_or_none(known.expires_at),
            revoked_at=moment_or_none(known.revoked_at),
            **more,
        )


class MadeToken(TokenDocument):
    """A token that was just made."""

    token: str
    """What is to be shown as `Authorization: Bearer ...`; only this answer holds it."""


RESERVED = frozenset({"admin", "bridge"})
"""Names that the audit log has for `http.admin_token` and for the bridge itself."""


class TokenDesk:
    """Gives tokens out and takes them back."""

    def __init__(
        self, tokens: SqlAccess, new_id: Callable[[], str], changed: Callable[[], Awaitable[None]]
    ) -> None:
        """`changed` is called after every change: all replicas are to look anew."""
        self._tokens = tokens
        self._new_id = new_id
        self._changed = changed

    async def make(self, asked: NewToken, maker: Actor) -> MadeToken | None:
        """The token with the text that is shown for it, only now; None where the name is taken."""
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
        return MadeToken.of(token, token=text)

    async def listed(self, *, revoked: bool) -> Sequence[KnownToken]:
        """Those that are not revoked, or with `revoked` all, by name."""
        return [token for token in await self._tokens.tokens() if revoked or token.revoked_at is None]

    async def find(self, name: str) -> KnownToken | None:
        """The token with this id, or else the one with this name that is not revoked."""
        every = await self._tokens.tokens()
        by_name = (token for token in every if token.name == name and token.revoked_at is None)
        return next((token for token in every if token.id == name), None) or next(by_name, None)

    async def revoke(self, name: str) -> KnownToken | None:
        """The token, found as by `find`, good no longer; None where there is none, or it was revoked before."""
        token = await self.find(name)
        if token is None or not await self._tokens.revoke_token(token.id, time.time()):
            return None
        await self._changed()
        return token


# Who may do what, in a running bridge: tokens and the audit log, on the history's database.


_USES_EVERY = 5.0
_FORGET_EVERY = 600.0
_AT_ONCE = 500


class Access:
    """What the API needs of tokens and the audit log."""

    def __init__(
        self,
        tokens: SqlAccess,
        audit: SqlAccess,
        *,
        admin_token: str | None,
        new_id: Callable[[], str],
    ) -> None:
        """`admin_token` None: there is none."""
        self.actors = Actors(tokens, admin_token)
        self.desk = TokenDesk(tokens, new_id, self._changed)
        self.audit = audit
        self.log = AuditLog(audit, new_id)
        self._control: Control | None = None

    def join(self, control: Control) -> None:
        """Tell other replicas of changes, and hear of theirs."""
        self._control = control
        control.listen("tokens", lambda _about: self.actors.forget())

    async def _changed(self) -> None:
        self.actors.forget()
        if self._control is not None:
            await self._control.tell("tokens")

    async def run(self, keep: float, *, every: float = _USES_EVERY) -> None:
        """Write down when tokens were used, and forget of the audit log what is older than `keep` seconds."""
        forget_at = 0.0
        while True:
            await asyncio.sleep(every)
            await self.actors.write_uses()
            if time.monotonic() >= forget_at:
                forget_at = time.monotonic() + _FORGET_EVERY
                await self._forget(time.time() - keep)

    async def _forget(self, before: float) -> None:
        """Replicas may do so at the same time: what one has deleted the other does not find."""
        forgotten = _AT_ONCE
        # Whoever writes history tells that the database is away; there is time.
        with suppress(HistoryUnavailable):
            while forgotten == _AT_ONCE:
                forgotten = await self.audit.forget_deeds(before, _AT_ONCE)
                await asyncio.sleep(0.05)  # let group commits through in between
