"""Access tokens by OAuth 2.0 client credentials (RFC 6749 section 4.4): one cached token for each hook."""

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode

import aiohttp
import orjson
from yarl import URL

from bridge.core.delivery import Answer, Fault
from bridge.core.errors import BrokerRefused, BrokerUnavailable, LoginRefused
from bridge.core.ports import Grant
from bridge.core.target import Auth
from bridge.targets.webhook.address import Endpoint, basic, static_head
from bridge.targets.webhook.exchange import Exchange, HttpResponse, answer_for
from bridge.targets.webhook.response import KEPT

USUAL_LIFE = 300.0
"""The assumed lifetime in seconds of a token without `expires_in`."""
_LONGEST_LIFE = 86_400.0
_AHEAD = 60.0
"""Seconds before its expiry at which a token is renewed, at most a fifth of its lifetime."""
_PAUSE = 1.0
"""Seconds after a failure without further requests to the token endpoint."""
_LONGEST_PAUSE = 3600.0
_VAIN_PAUSE = 30.0
"""Seconds without further tokens for a receiver that refuses a new one too."""
FORM = "application/x-www-form-urlencoded"
_BEARER = "Authorization: Bearer "
_TOKEN = re.compile(r"[\x21-\x7e]+")
_REASONS = frozenset(
    {
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "server_error",
        "slow_down",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)
"""The parts of a response that errors repeat: other text could echo the secret or a token."""


class AccessToken(NamedTuple):
    """An access token as a header line. Times are the event loop's, in seconds."""

    line: bytes
    renew_at: float
    expires_at: float

    @property
    def text(self) -> str:
        """Returns the token itself."""
        return self.line.decode().removeprefix(_BEARER).rstrip()


class TokenCache:
    """The cached token of one hook, fetched on demand by one request that all waiting attempts share.

    Shortly before its expiry one attempt renews it while the others keep using it. A failure is an Answer that names
    the token endpoint's host; it suspends the hook for a moment, during which all callers get the same Answer. It has
    no `code`, which is the receiver's: a 410 of the token endpoint pauses no hook, its 503 does not count for the
    circuit breaker, and `final` does not apply. An unreachable token endpoint does count, because the hook cannot
    deliver anything.
    """

    def __init__(self, auth: Auth, url: Endpoint, proxy: URL | None, exchange: Exchange) -> None:
        """Prepare the request; `exchange` connects to `url`, which is `auth.token_url`."""
        self._request = token_request(auth, url, proxy)
        self._name = f"token endpoint {url.authority}"
        self._exchange = exchange
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._token: AccessToken | None = None
        self._failure = Answer()
        self._paused_until = 0.0
        self._vain_until = 0.0

    async def get(self, deadline: float) -> AccessToken | Answer:
        """Returns a valid token, or why there is none; waits until `deadline` (the event loop's time)."""
        token = self._token
        if token is not None:
            now = self._loop.time()
            if now < token.renew_at or (now < token.expires_at and self._lock.locked()):
                return token
        try:
            async with asyncio.timeout_at(deadline):
                await self._lock.acquire()
        except TimeoutError:
            return Answer(Fault.TIMEOUT, error=f"{self._name}: no token within the time limit")
        try:
            return await self._renewed(deadline)
        finally:
            self._lock.release()

    async def instead_of(self, refused: AccessToken, deadline: float) -> AccessToken | Answer | None:
        """Returns a replacement of the token `refused`, which the receiver answered with 401.

        None if the last new token was refused too: a receiver that refuses every token must not cause a token request
        for every event.
        """
        if self._token is refused:
            now = self._loop.time()
            if now < self._vain_until:
                return None
            self._token = None
            self._vain_until = now + _VAIN_PAUSE
        return await self.get(deadline)

    def accepted(self) -> None:
        """Record that the receiver accepted a token: a new one may help at the next 401."""
        self._vain_until = 0.0

    async def _renewed(self, deadline: float) -> AccessToken | Answer:
        """Renew the token, with the lock held."""
        now = self._loop.time()
        token = self._token
        if token is not None and now < token.renew_at:
            return token  # another attempt fetched it meanwhile
        usable = token if token is not None and now < token.expires_at else None
        if now < self._paused_until:
            return usable or replace(self._failure, retry_after=self._paused_until - now)
        # A renewal that hangs must leave the attempt time for its request.
        found = await self._ask(now + (deadline - now) / 3 if usable else deadline)
        if isinstance(found, AccessToken):
            self._token = found
            return found
        wait = min(max(found.retry_after or 0.0, _PAUSE), _LONGEST_PAUSE)
        self._failure = replace(found, retry_after=wait)
        self._paused_until = self._loop.time() + wait
        return usable or self._failure

    async def _ask(self, deadline: float) -> AccessToken | Answer:
        asked_at = self._loop.time()
        try:
            reply = await self._exchange.send(self._request, deadline=deadline)
        except Exception as error:  # noqa: BLE001 - an Answer for every fault, as the target promises
            met = answer_for(error)
            return Answer(met.fault, error=f"{self._name}: {met.error}")
        found = read_token(reply, asked_at)
        if isinstance(found, AccessToken):
            return found
        return Answer(
            Fault.STATUS,
            retry_after=reply.retry_after(time.time()),
            error=f"{self._name} {found}",
        )


def token_request(auth: Auth, url: Endpoint, proxy: URL | None) -> bytes:
    """Returns the whole token request. Raises ValueError for text that is not valid Unicode."""
    authorization, content = token_form(auth)
    headers = {"Accept": "application/json", "Content-Type": FORM}
    head = static_head("POST", url, proxy, authorization, headers)
    return b"".join((head, f"Content-Length: {len(content)}\r\n\r\n".encode(), content))


def token_form(auth: Auth) -> tuple[str | None, bytes]:
    """Returns the header Authorization, if any, and the form of a token request."""
    fields = {"grant_type": "client_credentials"}
    fields |= {name: text for name in ("scope", "audience") if (text := getattr(auth, name))}
    secret = auth.client_secret.get_secret_value()
    if auth.client_auth == "basic":
        # RFC 6749 section 2.3.1: both are form-urlencoded before they are joined.
        return basic(quote_plus(auth.client_id), quote_plus(secret)), urlencode(fields).encode()
    fields |= {"client_id": auth.client_id, **({"client_secret": secret} if secret else {})}
    return None, urlencode(fields).encode()


def read_token(reply: HttpResponse, asked_at: float) -> AccessToken | str:
    """Returns the token of a response (RFC 6749 section 5.1), or the error without secrets.

    `asked_at` is the event loop's time from which `expires_in` counts.
    """
    fields = _object(reply.body)
    if not 200 <= reply.code < 300:
        moved = "; redirects are not followed" if 300 <= reply.code < 400 else ""
        return f"answered {reply.code}{_reason(fields)}{moved}"
    token = fields.get("access_token")
    if not isinstance(token, str) or not token:
        what = "no access_token" if fields else "no JSON object of up to 16 kB"
        return f"answered {reply.code} with {what}{_reason(fields)}"
    if not _TOKEN.fullmatch(token):
        return "gave an access_token with characters that a header cannot hold"
    kind = fields.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return "gave a token whose token_type is not bearer; no other kind is known here"
    life = _life(fields.get("expires_in"))
    expires_at = asked_at + life
    renew_at = expires_at - min(_AHEAD, life / 5)
    return AccessToken(f"{_BEARER}{token}\r\n".encode(), renew_at, expires_at)


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _reason(fields: dict[str, Any]) -> str:
    error = fields.get("error")
    return f" ({error})" if isinstance(error, str) and error in _REASONS else ""


def _life(expires_in: object) -> float:
    # Some servers send the number as text.
    try:
        life = float(expires_in) if isinstance(expires_in, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return USUAL_LIFE
    return min(life, _LONGEST_LIFE) if life > 0 else USUAL_LIFE


# Access tokens for a broker: client credentials at the operator's token endpoint. The SSRF protection does not apply:
# the operator configures the endpoint, which may have a private address.


class OAuthTokenProvider:
    """The port TokenProvider: concurrent callers share one request; tokens are not kept for later logins."""

    def __init__(
        self, auth: Auth, url: Endpoint, tls: Callable[[], ssl.SSLContext], *, timeout: float, where: str
    ) -> None:
        """`tls` is called for each request; `timeout` is in seconds; `where` is the settings' path."""
        self._auth = auth
        self._url = URL(str(url), encoded=True)
        self._tls = tls
        self._timeout = timeout
        self._name = f"{where}.oauth2: token endpoint {url.authority}"
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._grant: Grant | None = None

    async def get(self, since: float) -> Grant:
        async with self._lock:
            if self._grant is None or self._asked_at < since:
                asked_at = asyncio.get_running_loop().time()
                self._grant = await self._ask(asked_at)
                self._asked_at = asked_at
            return self._grant

    async def _ask(self, asked_at: float) -> Grant:
        try:
            reply = await self._post()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            met = answer_for(error)
            kind = BrokerRefused if met.fault is Fault.TLS else BrokerUnavailable
            raise kind(f"{self._name}: {met.error}") from error
        found = read_token(reply, asked_at)
        if isinstance(found, str):
            refused = 300 <= reply.code < 500 and reply.code not in {408, 429}
            raise (LoginRefused if refused else BrokerUnavailable)(f"{self._name} {found}")
        return Grant(found.text, found.renew_at, found.expires_at)

    async def _post(self) -> HttpResponse:
        authorization, form = token_form(self._auth)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": FORM}
        if authorization is not None:
            headers["Authorization"] = authorization
        # A session for each request: minutes pass between two, and files of `tls` may have changed.
        secure = await asyncio.to_thread(self._tls) if self._url.scheme == "https" else True
        limit = aiohttp.ClientTimeout(total=self._timeout)
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=secure), timeout=limit, auto_decompress=False
            ) as session,
            session.post(self._url, data=form, headers=headers, allow_redirects=False) as reply,
        ):
            body = bytearray()
            while len(body) < KEPT and (chunk := await reply.content.read(KEPT - len(body))):
                body += chunk
            return HttpResponse(reply.status, reply.headers, bytes(body))
