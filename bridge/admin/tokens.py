"""Tokens: made, listed and revoked."""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

from bridge.admin.actors import LENGTH, LETTERS, PREFIX, digest_of
from bridge.model.access import Actor, KnownToken
from bridge.model.documents import MadeToken, NewToken, TokenDocument
from bridge.ports.access import Tokens
from bridge.rules.formats.text import utc_seconds

RESERVED = frozenset({"admin", "bridge"})
"""Names that the audit log has for `http.admin_token` and for the bridge itself."""


class TokenDesk:
    """Gives tokens out and takes them back."""

    def __init__(
        self, tokens: Tokens, new_id: Callable[[], str], changed: Callable[[], Awaitable[None]]
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
        return MadeToken(token=text, **document(token).model_dump())

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


def document(token: KnownToken) -> TokenDocument:
    """The token as the API shows it."""
    return TokenDocument(
        id=token.id,
        name=token.name,
        role=token.role,
        created_at=utc_seconds(token.created_at),
        created_by=token.created_by,
        last_used_at=_moment(token.last_used_at),
        expires_at=_moment(token.expires_at),
        revoked_at=_moment(token.revoked_at),
    )


def _moment(at: float | None) -> str | None:
    return None if at is None else utc_seconds(at)
