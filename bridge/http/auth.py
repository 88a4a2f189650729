"""Who may use the admin API."""

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

from bridge.core.access import Actor, KnownToken, Role, Tokens
from bridge.core.errors import HistoryUnavailable
from bridge.http.documents import Refused
from bridge.telemetry import events

# Who shows a token: looked up by its hash, at most once in a moment.


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


# Wrong tokens, counted by the address that shows them: guessing is slowed down, everybody else is not.


_FREE = 10
"""The wrong token within a minute from which on answers wait."""
_SPAN = 60.0
_MOST_ADDRESSES = 10_000
_WHOLE_NET = (1 << 128) - (1 << 64)


@dataclass(slots=True)
class _Guesser:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_FREE))
    told_until: float = -math.inf


class FailedAuthLimiter:
    """The last wrong tokens of each address; of too many addresses those that were heard of last."""

    def __init__(self, guessing: Callable[[str], None]) -> None:
        """`guessing(address)` is called where one begins to show many, and again each minute that it goes on."""
        self._guessing = guessing
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()

    def wrong(self, address: str, now: float) -> bool:
        """Count one; whether its answer is to be slowed down. `now` in seconds of a clock that only goes on."""
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
    """The address; of IPv6 the network, as whoever has one address there has all of them."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(IPv6Address(int(found) & _WHOLE_NET))
    return str(found)


_CHALLENGE = 'Bearer realm="amqp-bridge"'
_DELAY = 2.0
"""Seconds that the answer to a wrong token waits, from the tenth within a minute on."""
_WAITING = 50
WAITING_OF_ONE = 5
"""Answers that wait at once, in all and for one address; more are refused with 429."""


class AccessGate:
    """Lets in who shows a token that is known, and slows down who tries many."""

    def __init__(self, actors: Actors, *, delay: float = _DELAY) -> None:
        """`delay`: seconds."""
        self._actors = actors
        self._delay = delay
        self._guesses = FailedAuthLimiter(events.tokens_guessed)
        self._waiting: Counter[str] = Counter()

    async def actor(self, request: web.Request) -> Actor:
        """Who asks; raises Refused: 401, 429."""
        shown = _shown(request)
        if shown is None:
            raise self._unauthorized("the admin API wants the header `Authorization: Bearer <token>`", shown)
        actor = await self._actors.who(shown)
        if actor is None:
            await self._slow_down(request.remote or "")
            raise self._unauthorized("the token is unknown, or is good no longer", shown)
        return actor

    async def _slow_down(self, remote: str) -> None:
        if not self._guesses.wrong(remote, time.monotonic()):
            return
        with self._place(neighbourhood(remote)):
            await asyncio.sleep(self._delay)

    @contextmanager
    def _place(self, who: str) -> Iterator[None]:
        if self._waiting[who] >= WAITING_OF_ONE or self._waiting.total() >= _WAITING:
            headers = {"Retry-After": f"{max(1, round(self._delay)):d}"}
            raise Refused(429, "too many wrong tokens", headers=headers)
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]

    def _unauthorized(self, detail: str, shown: str | None) -> Refused:
        hint = "" if self._actors.has_admin_token else "; http.admin_token is not set"
        challenge = _CHALLENGE if shown is None else f'{_CHALLENGE}, error="invalid_token"'
        return Refused(401, detail + hint, headers={"WWW-Authenticate": challenge})


def _shown(request: web.Request) -> str | None:
    """The token of the one header that there may be."""
    given = request.headers.getall("Authorization", [])
    if len(given) != 1:
        return None
    scheme, _, token = given[0].strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
