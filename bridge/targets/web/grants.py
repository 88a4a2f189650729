"""Access tokens for a broker: client credentials against the operator's own token endpoint.

No address gate stands before it: the operator's settings name it, and it may well be a private address.
"""

import asyncio
import ssl
from collections.abc import Callable

import aiohttp
from yarl import URL

from bridge.model.delivery import Fault
from bridge.model.errors import BrokerRefused, BrokerUnavailable, LoginRefused
from bridge.model.target import Auth
from bridge.ports.login import Grant
from bridge.targets.web.answering import KEPT
from bridge.targets.web.endpoint import Endpoint
from bridge.targets.web.exchange import Reply
from bridge.targets.web.faults import answer_for
from bridge.targets.web.oauth import FORM, read_token, token_form


class TokenGrants:
    """The port Grants (bridge.ports.login): one token for all that ask together, none kept for later logins."""

    def __init__(
        self, auth: Auth, url: Endpoint, tls: Callable[[], ssl.SSLContext], *, timeout: float, where: str
    ) -> None:
        """`tls` is called for each request; `timeout` bounds one in seconds; `where`: the settings' path."""
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

    async def _post(self) -> Reply:
        authorization, form = token_form(self._auth)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "Content-Type": FORM}
        if authorization is not None:
            headers["Authorization"] = authorization
        # A session for each request: minutes lie between two, and files of `tls` may have changed meanwhile.
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
            return Reply(reply.status, reply.headers, bytes(body))
