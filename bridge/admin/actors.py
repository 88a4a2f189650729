"""Who shows a token: looked up by its hash, at most once in a moment."""

import hmac
import re
import time
from collections.abc import Callable
from hashlib import sha256

from bridge.model.access import Actor, KnownToken, Role
from bridge.model.errors import HistoryUnavailable
from bridge.ports.access import Tokens

PREFIX = "abt_"
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 44
"""Letters behind the prefix: 262 bits."""
_FORM = re.compile(f"{PREFIX}[{LETTERS}]{{{LENGTH}}}")

_FRESH = 0.5
"""Seconds for which an answer of the database holds: a token that is revoked is good no longer than that."""
_MOST = 1000
"""Tokens whose answers are kept."""

ADMIN = Actor("admin", Role.ADMIN)
"""Who shows `http.admin_token`."""


class Actors:
    """Knows who shows what. `http.admin_token` needs no database."""

    def __init__(
        self,
        tokens: Tokens,
        admin_token: str | None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`admin_token` None: there is none."""
        self._tokens = tokens
        # Digests have one length, so that the time to compare tells nothing, not even how long the token is.
        self._admin = None if admin_token is None else digest_of(admin_token.strip())
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, tuple[KnownToken, float]] = {}
        self._used: dict[str, float] = {}

    @property
    def has_admin_token(self) -> bool:
        """Whether `http.admin_token` is set."""
        return self._admin is not None

    async def who(self, shown: str) -> Actor | None:
        """Whose token this is; None for one that nobody has, or that is good no longer.

        Raises HistoryUnavailable where only the database could tell.
        """
        digest = digest_of(shown)
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return ADMIN
        # What cannot be one of ours costs the database nothing.
        if not _FORM.fullmatch(shown):
            return None
        token = await self._look_up(digest)
        now = self._clock()
        if token is None or not is_good(token, now):
            return None
        self._used[token.id] = now
        return Actor(token.name, token.role, token.id)

    def forget(self) -> None:
        """Ask the database anew from now on: tokens changed."""
        self._known.clear()

    async def write_uses(self) -> None:
        """Have the database know when tokens were shown last; what it does not take is told next time."""
        used, self._used = self._used, {}
        try:
            await self._tokens.tokens_used(used)
        except HistoryUnavailable:
            self._used = used | self._used

    async def _look_up(self, digest: str) -> KnownToken | None:
        now = self._monotonic()
        token, until = self._known.get(digest, (None, 0.0))
        if now < until:
            return token
        token = await self._tokens.token_of(digest)
        if token is not None:
            if len(self._known) >= _MOST:
                self._known.clear()
            # Counted from before the look: what was revoked meanwhile counts, too.
            self._known[digest] = (token, now + _FRESH)
        return token


def is_good(token: KnownToken, now: float) -> bool:
    """Whether it lets in at that Unix time."""
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def digest_of(token: str) -> str:
    """What is stored of a token: its SHA-256 in hex. To 262 random bits salt would add nothing."""
    # Bytes that are no UTF-8 arrive as lone surrogates.
    return sha256(token.encode(errors="surrogateescape")).hexdigest()
