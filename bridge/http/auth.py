"""The authentication of requests to the admin API."""

import asyncio
import hmac
import math
import re
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

from aiohttp import web

from bridge.core.access import Actor, KnownToken, Role, TokenStore
from bridge.core.errors import HistoryUnavailable
from bridge.http.documents import RequestProblem
from bridge.telemetry import events

# The tokens: looked up by their hash, with a short-lived cache.


PREFIX = "abt_"
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LENGTH = 44
"""The number of random characters after the prefix: 262 bits."""
_FORM = re.compile(f"{PREFIX}[{LETTERS}]{{{LENGTH}}}")

_FRESH = 0.5
"""Seconds for which a lookup is cached: a revoked token is valid no longer than that."""
_MOST = 1000
"""Maximum number of cached tokens."""

ADMIN = Actor("admin", Role.ADMIN)
"""The actor with `http.admin_token`."""


class Actors:
    """Looks up the actor of a token. `http.admin_token` needs no database."""

    def __init__(
        self,
        tokens: TokenStore,
        admin_token: str | None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`admin_token` is None if there is none."""
        self._tokens = tokens
        # Digests have equal length, so that the time of the comparison reveals nothing, not even the length of the token.
        self._admin = None if admin_token is None else digest_of(admin_token.strip())
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, tuple[KnownToken, float]] = {}
        self._used: dict[str, float] = {}

    @property
    def has_admin_token(self) -> bool:
        """Returns whether `http.admin_token` is set."""
        return self._admin is not None

    async def who(self, shown: str) -> Actor | None:
        """Returns the actor of a token, None if the token is unknown or not valid any more.

        Raises HistoryUnavailable if only the database could tell.
        """
        # A text that cannot be a token causes no query.
        return await self.holder(digest_of(shown), stored=_FORM.fullmatch(shown) is not None)

    async def holder(self, digest: str, *, stored: bool = True) -> Actor | None:
        """Returns the actor of the token with this digest, as `who` does; `stored`: whether the database may know it."""
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return ADMIN
        if not stored:
            return None
        token = await self._look_up(digest)
        now = self._clock()
        if token is None or not is_good(token, now):
            return None
        self._used[token.id] = now
        return Actor(token.name, token.role, token.id)

    def forget(self) -> None:
        """Clears the cache after tokens have changed."""
        self._known.clear()

    async def write_uses(self) -> None:
        """Writes the times of last use; those that cannot be written are kept for the next call."""
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
            # The time of the lookup's start counts: a revocation during the lookup has to take effect.
            self._known[digest] = (token, now + _FRESH)
        return token


def is_good(token: KnownToken, now: float) -> bool:
    """Returns whether the token is valid at that Unix time."""
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)


def digest_of(token: str) -> str:
    """Returns the stored form of a token: its SHA-256 in hex. With 262 random bits a salt would add nothing."""
    # Bytes that are not UTF-8 arrive as lone surrogates.
    return sha256(token.encode(errors="surrogateescape")).hexdigest()


# The limit of failed authentications per client address: it slows down guessing, and nobody else.


_FREE = 10
"""The number of wrong tokens within a minute from which on responses are delayed."""
_SPAN = 60.0
_MOST_ADDRESSES = 10_000
_WHOLE_NET = (1 << 128) - (1 << 64)


@dataclass(slots=True)
class _Guesser:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_FREE))
    told_until: float = -math.inf


def _guessed(remote: str) -> None:
    events.process.warning("api.tokens_guessed", remote=remote, effect="answers to wrong tokens wait")


class FailedAuthLimiter:
    """The recent wrong tokens of each address; if there are too many addresses, those with the latest are kept."""

    def __init__(self, guessing: Callable[[str], None]) -> None:
        """`guessing(address)` is called when an address begins to send many wrong tokens, and each minute it goes on."""
        self._guessing = guessing
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()

    def wrong(self, address: str, now: float) -> bool:
        """Counts a wrong token; returns whether its response is to be delayed. `now` is in monotonic seconds."""
        who = neighbourhood(address)
        guesser = self._guessers.setdefault(who, _Guesser())
        self._guessers.move_to_end(who)
        guesser.times.append(now)
        if len(self._guessers) > _MOST_ADDRESSES:
            self._guessers.popitem(last=False)
        if len(guesser.times) < _FREE or now - guesser.times[0] >= _SPAN:
            return False
        if now >= guesser.told_until:
            guesser.told_until = now + _SPAN
            self._guessing(address)
        return True

    def __len__(self) -> int:
        return len(self._guessers)


def neighbourhood(address: str) -> str:
    """Returns the address; for IPv6 its network, since a client with one address there has all of them."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(IPv6Address(int(found) & _WHOLE_NET))
    return str(found)


_CHALLENGE = 'Bearer realm="amqp-bridge"'
_DELAY = 2.0
"""Seconds by which the response to a wrong token is delayed, from the tenth within a minute on."""
_WAITING = 50
WAITING_OF_ONE = 5
"""Maximum number of delayed responses, in all and for one address; further ones are refused with 429."""


class AccessGate:
    """Admits requests with a valid token, and delays clients that send many wrong ones."""

    def __init__(self, actors: Actors, *, delay: float = _DELAY) -> None:
        """`delay` is in seconds."""
        self._actors = actors
        self._delay = delay
        self._guesses = FailedAuthLimiter(_guessed)
        self._waiting: Counter[str] = Counter()

    async def actor(self, request: web.Request) -> Actor:
        """Returns the actor of the request; raises RequestProblem: 401, 429."""
        shown = _shown(request)
        if shown is None:
            raise self._unauthorized("the admin API wants the header `Authorization: Bearer <token>`", shown)
        return await self.admit(shown, request.remote or "")

    async def admit(self, shown: str, remote: str) -> Actor:
        """Returns the actor of a token from this address; raises RequestProblem: 401, 429."""
        actor = await self._actors.who(shown)
        if actor is None:
            await self._slow_down(remote)
            raise self._unauthorized("the token is unknown, or is good no longer", shown)
        return actor

    async def holder(self, digest: str) -> Actor | None:
        """Returns the actor of a token that was admitted before, by its digest; None if it is not valid any more."""
        return await self._actors.holder(digest)

    async def _slow_down(self, remote: str) -> None:
        if not self._guesses.wrong(remote, time.monotonic()):
            return
        with self._place(neighbourhood(remote)):
            await asyncio.sleep(self._delay)

    @contextmanager
    def _place(self, who: str) -> Iterator[None]:
        if self._waiting[who] >= WAITING_OF_ONE or self._waiting.total() >= _WAITING:
            headers = {"Retry-After": f"{max(1, round(self._delay)):d}"}
            raise RequestProblem(429, "too many wrong tokens", headers=headers)
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]

    def _unauthorized(self, detail: str, shown: str | None) -> RequestProblem:
        hint = "" if self._actors.has_admin_token else "; http.admin_token is not set"
        challenge = _CHALLENGE if shown is None else f'{_CHALLENGE}, error="invalid_token"'
        return RequestProblem(401, detail + hint, headers={"WWW-Authenticate": challenge})


def _shown(request: web.Request) -> str | None:
    """Returns the token, if exactly one header carries one."""
    given = request.headers.getall("Authorization", [])
    if len(given) != 1:
        return None
    scheme, _, token = given[0].strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
