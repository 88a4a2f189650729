"""Delivery by HTTP request."""

import asyncio
import time
from collections.abc import Callable

from bridge.model.delivery import Answer, Delivery, Fault
from bridge.model.event import Event
from bridge.model.target import WebhookTarget as Settings
from bridge.rules.bodies.body import Body
from bridge.rules.bodies.builder import builder
from bridge.rules.signing.shapes import Signer
from bridge.rules.signing.signers import names, signer
from bridge.rules.wire.headers import check_headers, header_text, retry_after, traceparent
from bridge.targets.web.endpoint import parse_proxy, parse_url, static_head
from bridge.targets.web.exchange import KEPT, Exchange, Reply
from bridge.targets.web.faults import answer_for
from bridge.targets.web.pool import Pool, Route


class WebhookTarget:
    """Sends a hook's events to one URL over the shared pool.

    All that is the same for every request is made here, once. Raises ValueError for settings that cannot
    work; `factory.problems` says which.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        kept: int = KEPT,
        clock: Callable[[], float] = time.time,
        *,
        hook: str = "",
    ) -> None:
        """`hook`: the hook's name, which some bodies tell. `kept`: bytes of an answer's body that go into the
        history, at most `exchange.KEPT`.
        """
        self._settings = settings
        self._kept = kept
        self._pool = pool
        self._clock = clock
        self._url = parse_url(settings.url)
        self._proxy = parse_proxy(settings.proxy) if settings.proxy else None
        self._tls = pool.tls(settings.tls)
        self._build = builder(settings.body, settings.profile, hook=hook, template=settings.template)
        self._signer = signer_of(settings)
        check_own_headers(settings)
        self._head = static_head(settings.method, self._url, self._proxy, settings.auth, settings.headers)
        given = {name.lower() for name in settings.headers}
        self._own_type = "content-type" in given
        self._own_coding = "content-encoding" in given
        self._own_trace = "traceparent" in given
        self._success = frozenset(settings.success if settings.success is not None else range(200, 300))
        self._final = frozenset(settings.final)
        self._blocked = _blocked(pool.refusal(self._url.raw_host or ""))
        self._exchange: Exchange | None = None

    async def attempt(self, delivery: Delivery) -> Answer:
        """Send once. Redirects are never followed, cookies never kept, answers never decompressed."""
        built = self._build(delivery.event)
        if isinstance(built, Answer):
            return built
        if self._blocked is not None:
            return self._blocked
        try:
            exchange = self._exchange or self._open()
            reply = await exchange.send(self._request(delivery.event, built))
        except Exception as error:  # noqa: BLE001 - the port promises an Answer for every fault
            return answer_for(error)
        return self._judged(reply)

    async def close(self) -> None:
        """Nothing is held: connections belong to the pool."""

    def _open(self) -> Exchange:
        settings = self._settings
        route = Route(
            settings.method, self._url, ssl=self._tls, proxy=self._proxy, loop=asyncio.get_running_loop()
        )
        self._exchange = Exchange(self._pool, route, settings.connect_timeout, settings.timeout)
        return self._exchange

    def _request(self, event: Event, built: Body) -> bytes:
        content = built.content
        stamp = self._signer.stamp(self._clock())
        fields = self._signer.headers(content, event.webhook_id or event.id, stamp, event.type)
        lines = [f"{name}: {value}\r\n" for name, value in (*fields, *built.headers)]
        if not self._own_type:
            lines.append(f"Content-Type: {built.content_type}\r\n")
        if built.content_encoding and not self._own_coding:
            lines.append(f"Content-Encoding: {built.content_encoding}\r\n")
        headers = event.message.headers
        if (
            "traceparent" in headers
            and not self._own_trace
            and (trace := traceparent(headers["traceparent"]))
        ):
            lines.append(f"traceparent: {trace}\r\n")
        lines.append(f"Content-Length: {len(content)}\r\n\r\n")
        return b"".join((self._head, "".join(lines).encode(), content))

    def _judged(self, reply: Reply) -> Answer:
        code, response = reply.code, reply.body[: self._kept]
        if code in self._success:
            return Answer(code=code, response=response)
        if 300 <= code < 400:
            to = header_text(reply.headers.get("Location", ""))[:200]
            return Answer(
                fault=Fault.REDIRECT,
                code=code,
                response=response,
                error=f"answered {code}; redirects are not followed{f', it leads to {to}' if to else ''}",
                lasting=True,
            )
        wait = reply.headers.get("Retry-After")
        return Answer(
            fault=Fault.STATUS,
            code=code,
            retry_after=retry_after(wait, self._clock()) if wait else None,
            response=response,
            error=f"answered {code}",
            lasting=code in self._final,
        )


def signer_of(settings: Settings) -> Signer:
    """The signer of these settings. Raises ValueError."""
    secrets = [secret.get_secret_value() for secret in settings.secrets]
    return signer(
        settings.profile, secrets, settings.signature, method=settings.method, path=_path(settings.url)
    )


def _path(url: str) -> str:
    """The path that is requested; what is wrong with a URL is said by `parse_url` alone."""
    try:
        return parse_url(url).raw_path
    except ValueError:
        return "/"


def check_own_headers(settings: Settings) -> None:
    """Raise a ValueError for headers of the hook that cannot be sent or that belong to profile or `auth`."""
    reserved = names(settings.profile, settings.signature, secrets=bool(settings.secrets))
    if settings.auth:
        if "authorization" in reserved:
            raise ValueError("the secret and `auth` both make the header Authorization: give one of them")
        reserved |= {"authorization"}
    check_headers(settings.headers.items(), reserved)


def check_success(settings: Settings) -> None:
    """Raise a ValueError when no answer could ever be a success."""
    if settings.success is not None and not any(200 <= code <= 599 for code in settings.success):
        raise ValueError("no status code from 200 to 599, so nothing could ever be delivered")


def _blocked(reason: str | None) -> Answer | None:
    return Answer(fault=Fault.BLOCKED_ADDRESS, error=reason) if reason else None
