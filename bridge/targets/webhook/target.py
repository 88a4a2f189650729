"""The webhook target: delivery by HTTP request."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from yarl import URL

from bridge.bodies.body import Body, Build, raw
from bridge.bodies.builder import builder
from bridge.core.budget import Budget
from bridge.core.delivery import Answer, Delivery, Evidence, Fault
from bridge.core.event import Event
from bridge.core.ports import Preview
from bridge.core.target import WebhookTarget as Settings
from bridge.signing.profiles import signer, told_by
from bridge.signing.shapes import Signer
from bridge.targets.evidence import LARGE, EvidenceRecorder, Rendering, lines_of
from bridge.targets.webhook.address import (
    Endpoint,
    authorization,
    check_own_headers,
    parse_proxy,
    parse_url,
    static_head,
)
from bridge.targets.webhook.exchange import Exchange, HttpResponse, answer_for
from bridge.targets.webhook.oauth import TokenCache
from bridge.targets.webhook.pool import Pool, Route, literal_refusal
from bridge.targets.webhook.response import KEPT
from bridge.wire.address_gate import AddressGate, is_own_name
from bridge.wire.headers import header_text, traceparent, tracestate

_EMPTY = Body(b"", "")
_TOKEN = ("Authorization", "Bearer ***")
_ANY_SIZE = 1 << 60

Fields = list[tuple[str, str]]
"""Headers of one request in addition to the constant ones."""


class WebhookSender:
    """The target that sends a hook's events to one URL over the shared pool.

    The constant part of requests is built once. Raises ValueError for invalid settings; `factory.problems` names them.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        kept: int = KEPT,
        clock: Callable[[], float] = time.time,
        *,
        hook: str = "",
        gate: AddressGate | None = None,
        rendering: Rendering | None = None,
    ) -> None:
        """Prepare the target. `hook` is the hook's name, which some bodies contain. `kept` is the number of bytes of a
        response body for the history. `gate` is the SSRF protection; default: the pool's own.
        """
        self._settings = settings
        self._pool, self._kept, self._clock = pool, kept, clock
        self._gate, self._rendering = gate or pool.gate, rendering or Rendering(Budget())
        self._url = parse_url(settings.url)
        self._proxy = parse_proxy(settings.proxy) if settings.proxy else None
        self._tls = pool.tls(settings.tls)
        self._build = _build_of(settings, hook)
        self._at_once = _ANY_SIZE if self._build is raw else LARGE
        self._signer = _signer_of(settings)
        self._told = told_by(settings.profile)
        check_own_headers(settings)
        self._head = _head_of(settings, self._url, self._proxy)
        given = {name.lower() for name in settings.headers}
        self._bodiless = settings.method == "GET"
        self._no_type = self._bodiless or "content-type" in given
        self._no_coding = self._bodiless or "content-encoding" in given
        self._own_trace = not given.isdisjoint({"traceparent", "tracestate"})
        self._given = frozenset(given)
        self._evidence = _evidence_of(settings, self._head, self._signer)
        self._success = frozenset(settings.success if settings.success is not None else range(200, 300))
        self._final = frozenset(settings.final)
        self._oauth = settings.auth if settings.auth and settings.auth.type == "oauth2" else None
        self._token_url = parse_url(self._oauth.token_url) if self._oauth else None
        self._blocked = self._refused_address()
        self._exchange: Exchange | None = None
        self._tokens: TokenCache | None = None

    async def attempt(self, delivery: Delivery) -> Answer:
        """Send once. Redirects are not followed, cookies not stored, responses not decompressed."""
        event = delivery.event
        if event.weight > self._at_once:
            built, _held = await self._rendering.make(event, self._build)
        else:
            built = self._build(event)
        if isinstance(built, Answer):
            return built
        if self._blocked is not None:
            return self._blocked
        if len(built.content) < LARGE:
            fields, told = self._prepared(delivery, built)
        else:
            fields, told = await asyncio.to_thread(self._prepared, delivery, built)
        try:
            exchange = self._exchange or self._open()
            if self._tokens is not None:
                reply = await self._with_token(exchange, self._tokens, fields, built)
            else:
                reply = await self._send(exchange, fields, built)
        except Exception as error:  # noqa: BLE001 - the port promises an Answer for every fault
            return replace(answer_for(error), evidence=told)
        return (
            reply
            if isinstance(reply, Answer)
            else self._judged(reply, self._evidence.heard(told, reply.headers))
        )

    def preview(self, delivery: Delivery) -> Preview | Answer:
        """Returns the request as it would be sent now."""
        built = self._build(delivery.event)
        if isinstance(built, Answer):
            return built
        told = self._evidence.sent(self._fields(delivery, built), built.content)
        return Preview(told, built.content, built.content_type)

    async def close(self) -> None:
        """Do nothing: connections belong to the pool."""

    def _refused_address(self) -> Answer | None:
        for what, url in (("", self._url), ("token endpoint ", self._token_url)):
            if url is not None and (reason := self._refusal(url.host)):
                return Answer(fault=Fault.BLOCKED_ADDRESS, error=f"{what}{reason}")
        return None

    def _refusal(self, host: str) -> str | None:
        """Returns a refusal that is known without name resolution, which a proxy does itself."""
        if self._proxy is not None and is_own_name(host):
            reason = self._gate.refusal("127.0.0.1")
            return f"{host}, asked of a proxy: {reason}" if reason else None
        return literal_refusal(self._gate, host)

    def _open(self) -> Exchange:
        self._exchange = self._exchange_with(self._settings.method, self._url)
        if self._oauth is not None and self._token_url is not None:
            tokens = self._exchange_with("POST", self._token_url)
            self._tokens = TokenCache(self._oauth, self._token_url, self._proxy, tokens)
        return self._exchange

    def _exchange_with(self, method: str, url: Endpoint) -> Exchange:
        settings = self._settings
        route = Route(method, url.origin, ssl=self._tls, proxy=self._proxy, loop=asyncio.get_running_loop())
        return Exchange(self._pool, self._gate, route, settings.connect_timeout, settings.timeout)

    async def _with_token(
        self, exchange: Exchange, tokens: TokenCache, fields: Fields, built: Body
    ) -> HttpResponse | Answer:
        """Returns the receiver's response; if it refuses the token, that to a second request with a new token."""
        deadline = exchange.deadline()
        token = await tokens.get(deadline)
        if isinstance(token, Answer):
            return token
        reply = await self._send(exchange, fields, built, token.line, deadline)
        if reply.code == 401:
            another = await tokens.instead_of(token, deadline)
            if isinstance(another, Answer):
                return another
            if another is not None:
                reply = await self._send(exchange, fields, built, another.line, deadline)
        if reply.code != 401:
            tokens.accepted()
        return reply

    def _prepared(self, delivery: Delivery, built: Body) -> tuple[Fields, Evidence]:
        fields = self._fields(delivery, built)
        return fields, self._evidence.sent(fields, built.content)

    async def _send(
        self,
        exchange: Exchange,
        fields: Fields,
        built: Body,
        authorization: bytes = b"",
        deadline: float | None = None,
    ) -> HttpResponse:
        """Send the request; a large body is not copied. `authorization` is a header line."""
        lines = [f"{name}: {value}\r\n" for name, value in fields]
        lines.append("\r\n")
        head = b"".join((self._head, authorization, "".join(lines).encode()))
        if len(built.content) < LARGE:
            return await exchange.send(head + built.content, deadline=deadline)
        return await exchange.send(head, built.content, deadline=deadline)

    def _fields(self, delivery: Delivery, built: Body) -> Fields:
        """Returns the headers of this request, built as late as possible because one holds the time."""
        event, content = delivery.event, built.content
        webhook_id, kind = self._told(event)
        stamp = self._signer.stamp(self._clock())
        fields = self._signer.headers(content, webhook_id, stamp, kind)
        if built.headers:
            fields += [(name, value) for name, value in built.headers if name.lower() not in self._given]
        if not self._no_type:
            fields.append(("Content-Type", built.content_type))
        if built.content_encoding and not self._no_coding:
            fields.append(("Content-Encoding", built.content_encoding))
        headers = event.message.headers if delivery.trace is None else delivery.trace.headers
        if "traceparent" in headers and not self._own_trace:
            fields += trace_fields(headers)
        if not self._bodiless:
            fields.append(("Content-Length", str(len(content))))
        return fields

    def _judged(self, reply: HttpResponse, told: Evidence) -> Answer:
        code, response = reply.code, reply.body[: self._kept]
        fault = f"; the answer is no valid HTTP: {reply.fault}" if reply.fault else ""
        if code in self._success:
            error = fault and f"answered {code}{fault}"
            return Answer(code=code, response=response, error=error, evidence=told)
        if 300 <= code < 400:
            to = header_text(reply.headers.get("Location", ""))[:200]
            return Answer(
                fault=Fault.REDIRECT,
                code=code,
                response=response,
                error=f"answered {code}; redirects are not followed{f', it leads to {to}' if to else ''}{fault}",
                lasting=True,
                evidence=told,
            )
        return Answer(
            fault=Fault.STATUS,
            code=code,
            retry_after=reply.retry_after(self._clock()),
            response=response,
            error=f"answered {code}{fault}",
            lasting=code in self._final,
            evidence=told,
        )


def trace_fields(headers: Mapping[str, Any]) -> Fields:
    """Returns the trace context of a message as headers; a `tracestate` is invalid without its `traceparent`."""
    parent = traceparent(headers["traceparent"])
    if parent is None:
        return []
    state = tracestate(headers.get("tracestate"))
    return [("traceparent", parent), *([("tracestate", state)] if state else ())]


def _head_of(settings: Settings, url: Endpoint, proxy: URL | None) -> bytes:
    known = authorization(settings.auth) if settings.auth else None
    return static_head(settings.method, url, proxy, known, settings.headers)


def _evidence_of(settings: Settings, head: bytes, made: Signer) -> EvidenceRecorder:
    by_token = settings.auth is not None and settings.auth.type == "oauth2"
    always = [*lines_of(head), *([_TOKEN] if by_token else ())]
    return EvidenceRecorder(settings, settings.method, always, _signatures_of(made))


def _signatures_of(made: Signer) -> frozenset[str]:
    stamp = made.stamp(0.0)
    one, other = (dict(made.headers(body, "id", stamp, "type")) for body in (b"one", b"other"))
    return frozenset(name for name, value in one.items() if other.get(name) != value)


def _signer_of(settings: Settings) -> Signer:
    secrets = [secret.get_secret_value() for secret in settings.secrets]
    path = parse_url(settings.url).path
    return signer(settings.profile, secrets, settings.signature, method=settings.method, path=path)


def _build_of(settings: Settings, hook: str) -> Build:
    """Returns the body builder; a GET has no body, so it only builds the headers of a CloudEvent."""
    build = builder(settings.body, settings.profile, hook=hook, template=settings.template)
    if settings.method != "GET":
        return build
    if settings.body != "cloudevents-binary":
        return lambda _: _EMPTY

    def without_content(event: Event) -> Body | Answer:
        built = build(event)
        return built if isinstance(built, Answer) else built._replace(content=b"")

    return without_content
