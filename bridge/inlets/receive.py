"""Inlets: receive a webhook, verify it, publish it to a source, and respond after the broker's confirm."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

from aiohttp import HttpVersion11, web
from yarl import URL

from bridge.amqp.connection import Link
from bridge.amqp.fail_fast import PromptPublisher
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.core.errors import BridgeError, PublishTooLarge
from bridge.core.event import Source
from bridge.core.inlet import IN, Inlet, PathTable
from bridge.core.ports import Outgoing, Publisher
from bridge.inlets.handshakes import Greeting, Handshakes, Question
from bridge.inlets.headers import is_ping, joined
from bridge.inlets.message import (
    BODY_TIME,
    NOT_AUTHORIZED,
    InletRequest,
    Messages,
    Refusal,
    Room,
    greeted,
    read_body,
    too_large,
    unavailable,
    wrong_method,
)
from bridge.settings.tree import Settings
from bridge.signing.profiles import verifier
from bridge.signing.shapes import SignedRequest, VerificationFailure, Verify
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

# Routes of inlets: any method, and paths exactly as sent.


Handle = Callable[[web.Request, str, str], Awaitable[web.StreamResponse]]
"""The handler of a request to the inlet of this name, with the rest of its path."""
Judge = Callable[[web.Request, str], web.Response | None]
"""The early rejection of a request by its headers, before its body is read."""


class InletRoutes(web.AbstractRouteDef):
    """All inlets as one route, which is matched last: the bridge's own paths take precedence."""

    def __init__(self, paths: PathTable, handle: Handle, judge: Judge) -> None:
        self._paths = paths
        self._handle = handle
        self._judge = judge

    def register(self, router: web.UrlDispatcher) -> list[web.AbstractRoute]:
        resource = _InletResource(self._paths, self._handle, self._judge)
        router.register_resource(resource)
        return list(resource)


class _InletResource(web.AbstractResource):
    """A resource that matches raw paths and any method; aiohttp's own match decoded paths and fixed methods."""

    def __init__(self, paths: PathTable, handle: Handle, judge: Judge) -> None:
        super().__init__()
        self._paths = paths
        self._judge = judge
        self._handle = handle
        self._route = web.ResourceRoute("*", self._answer, self, expect_handler=self._expect)

    @property
    def canonical(self) -> str:
        """Returns the index key for the router: everything below `/`."""
        return "/"

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        found = self._paths.find(request.rel_url.raw_path)
        if found is None:
            return None, set()
        return web.UrlMappingMatchInfo({"inlet": found[0], "rest": found[1]}, self._route), set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(request, request.match_info["inlet"], request.match_info["rest"])

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        """Send `100 Continue` only if the headers are acceptable."""
        if refusal := self._judge(request, request.match_info["inlet"]):
            return refusal
        if request.version == HttpVersion11 and request.headers["Expect"].lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the final response has not begun
        return None

    def url_for(self, **_: str) -> URL:
        raise RuntimeError("inlets have several paths: no one URL leads to them")

    def add_prefix(self, prefix: str) -> None:
        raise RuntimeError(f"inlets answer where the settings say, never below {prefix}")

    def get_info(self) -> Any:
        return {"path": "/"}

    def raw_match(self, path: str) -> bool:
        return path == "/"

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter((self._route,))


_LARGE = 32_768
"""Bytes from which on a body is hashed and parsed in a thread, so that the event loop is not blocked."""
_STOPPING = unavailable("the bridge is stopping", close=True)
_NO_BODY = frozenset({204, 205})
_LAST_ANSWERS = 2.0
_LOOK_EVERY = 0.02
_P = ParamSpec("_P")
_T = TypeVar("_T")

CameTo = Refusal | Greeting | str
"""A rejection, the response to a handshake, or the metric label of an accepted request."""


class Inlets:
    """The inlets of a process."""

    def __init__(
        self,
        inlets: Sequence[Inlet],
        sources: Sequence[Source],
        publisher: Publisher,
        *,
        metrics: Metrics,
        new_id: Callable[[], str],
        most_body: int,
        room: Room | None = None,
        body_time: float = BODY_TIME,
    ) -> None:
        """Prepare the inlets. `publisher` must fail fast; `most_body` is the upper limit of bytes for any setting;
        `body_time` is in seconds.

        Raises ValueError for invalid verifier settings.
        """
        by_name = {source.name: source for source in sources}
        self._doors = {
            inlet.name: _Door(
                inlet,
                Messages(inlet, by_name[inlet.source], new_id),
                publisher,
                metrics,
                min(inlet.body, most_body),
            )
            for inlet in inlets
        }
        self._inlets = inlets
        self._room = room or Room()
        self._body_time = body_time
        self._closing = False

    def routes(self) -> list[web.AbstractRouteDef]:
        """Returns the routes for the server."""
        return [InletRoutes(_paths(self._inlets), self._handle, self._judge)] if self._inlets else []

    async def close(self) -> None:
        """Reject new requests (503), and wait for in-flight publishes within a timeout (graceful shutdown)."""
        self._closing = True
        for _ in range(int(_LAST_ANSWERS / _LOOK_EVERY)):
            if not any(door.publishing for door in self._doors.values()):
                return
            await asyncio.sleep(_LOOK_EVERY)

    def _judge(self, request: web.Request, inlet: str) -> web.Response | None:
        door = self._doors[inlet]
        came_to = door.judge(request)
        return door.answer(came_to) if came_to else None

    async def _handle(self, request: web.Request, inlet: str, rest: str) -> web.Response:
        door = self._doors[inlet]
        return door.answer(await self._admit(door, request, rest))

    async def _admit(self, door: "_Door", request: web.Request, rest: str) -> CameTo:
        if self._closing:
            return _STOPPING
        if came_to := door.judge(request):
            return came_to
        with self._room.place() as place:
            if place is None:
                return unavailable("too many requests at once", "too_many", close=True)
            body = await read_body(request, place, door.most_body, self._body_time)
            if isinstance(body, Refusal):
                return body
            if self._closing:  # still in-flight
                return _STOPPING
            return await door.take_in(request, rest, body)


class _Door:
    """One inlet."""

    def __init__(
        self, inlet: Inlet, messages: Messages, publisher: Publisher, metrics: Metrics, most_body: int
    ) -> None:
        self.most_body = most_body
        self.publishing = 0
        self._inlet = inlet
        self._messages = messages
        self._publisher = publisher
        self._answers = metrics.inlet(inlet.name)
        self._verifiers: list[Verify] = [verifier(settings) for settings in inlet.verify]
        self._splynx = any(settings.type == "splynx" for settings in inlet.verify)
        self._handshakes = Handshakes(inlet)
        self._unavailable = 0
        for label in (
            "accepted",
            "refused",
            "unavailable",
        ):  # counters start at zero so that rates are complete
            _ = self._answers[label]

    def judge(self, request: web.Request) -> Refusal | Greeting | None:
        """Returns the rejection or handshake response that method, query and headers alone determine."""
        asked = Question(request.method, request.query, joined(request.headers.items()))
        if greeting := self._handshakes.greet(asked):
            return greeting
        methods = self._inlet.methods
        if methods and request.method not in methods:
            return wrong_method(request.method, tuple(methods))
        if (request.content_length or 0) > self.most_body:
            return too_large(self.most_body)
        return None

    async def take_in(self, request: web.Request, rest: str, body: bytes) -> CameTo:
        """Verify and publish; returns after the broker's confirm, with the label for the metric."""
        fields = tuple(request.headers.items())
        received = InletRequest(request.method, rest, fields, joined(fields), body)
        signed = SignedRequest(body, received.headers, request.method, request.rel_url.raw_path)
        now = time.time()
        verified: int | None = None
        if self._verifiers:
            found = await _aside(body, self._first_that_verifies, signed, now)
            verified = found if isinstance(found, int) else None
            if self._is_ping(received, verified):
                return "ping"
            if not isinstance(found, int):
                events.inlets.info(
                    "inlet.refused", inlet=self._inlet.name, remote=request.remote, reasons=found
                )
                return NOT_AUTHORIZED
        if greeting := self._handshakes.greet_verified(body):
            return greeting
        message = await _aside(body, self._messages.message, received, verified, now)
        return message if isinstance(message, Refusal) else await self._publish(message)

    def _first_that_verifies(self, request: SignedRequest, now: float) -> int | list[str]:
        """Returns the number of the first verifier that accepts the request, or the reasons of all."""
        reasons = []
        for number, (settings, verify) in enumerate(zip(self._inlet.verify, self._verifiers, strict=True)):
            refused = verify(request, now)
            if not isinstance(refused, VerificationFailure):
                return number
            reasons.append(f"{settings.type}: {refused.reason}")
        return reasons

    def _is_ping(self, request: InletRequest, verified: int | None) -> bool:
        """Returns whether this is Splynx's unsigned ping, answered with `ok`; of others the body may be an event."""
        if not self._splynx or (verified is not None and self._inlet.verify[verified].type != "splynx"):
            return False
        return is_ping(request.body)

    async def _publish(self, message: Outgoing) -> Refusal | str:
        self.publishing += 1
        try:
            async with asyncio.timeout(self._inlet.timeout):
                await self._publisher.publish(message)
        except TimeoutError:
            return unavailable(f"no confirm within {self._inlet.timeout:g} s")
        except PublishTooLarge:
            return too_large(self.most_body)
        except BridgeError as error:
            return unavailable(str(error))
        finally:
            self.publishing -= 1
        return "accepted"

    def answer(self, came_to: CameTo) -> web.Response:
        """Returns the response, and counts and logs it."""
        self._answers[came_to if isinstance(came_to, str) else came_to.label].value += 1
        if isinstance(came_to, Greeting):
            return greeted(came_to)
        if isinstance(came_to, Refusal):
            self._tell_unavailable(came_to)
            return came_to.response()
        if came_to == "accepted" and self._unavailable:
            events.inlets.info("inlet.available", inlet=self._inlet.name, refused=self._unavailable)
            self._unavailable = 0
        status = 200 if came_to == "ping" else self._inlet.success
        text = "ok" if came_to == "ping" else self._inlet.answer
        return web.Response(status=status, text=None if status in _NO_BODY else text)

    def _tell_unavailable(self, refusal: Refusal) -> None:
        """Logs the first of consecutive rejections and counts the next ones, which may be thousands a second."""
        if refusal.status == 503:
            self._unavailable += 1
            if self._unavailable == 1:
                events.inlets.warning("inlet.unavailable", inlet=self._inlet.name, reason=refusal.reason)


async def _aside(body: bytes, work: Callable[_P, _T], /, *given: _P.args, **named: _P.kwargs) -> _T:
    """Returns the result of `work`, which hashes the body; in a thread if the body is large."""
    return work(*given, **named) if len(body) < _LARGE else await asyncio.to_thread(work, *given, **named)


def _paths(inlets: Sequence[Inlet]) -> PathTable:
    exact, below = [], []
    for inlet in inlets:
        path = inlet.path or ""
        # For an open inlet the path may be the secret; names are not.
        own = [] if inlet.open and path else [IN + inlet.name]
        for each in filter(None, (*own, path.removesuffix("/*"))):
            exact.append((each, inlet.name))
            if inlet.event_type_path or path.endswith("/*"):
                below.append((each, inlet.name))
    return PathTable(exact, below)


# The publisher that inlets and the API share.


class Reception:
    """Publishes incoming events on its own channels: errors on that of copies must not affect senders."""

    def __init__(
        self,
        settings: Settings,
        link: Link,
        publisher: Callable[[Link], ConfirmedPublisher],
        prepare: Callable[[str], Awaitable[bool]],
        *,
        metrics: Metrics,
        new_id: Callable[[], str],
    ) -> None:
        """Open the channels lazily; `prepare` declares a source's queue if it is missing."""
        self._publishers = (publisher(link), ConfirmedPublisher(link))
        self.prompt = PromptPublisher(link, *self._publishers, prepare=prepare)
        self.inlets = Inlets(
            settings.inlets,
            settings.sources,
            self.prompt,
            metrics=metrics,
            new_id=new_id,
            most_body=settings.limits.body,
            room=Room(link.budget),
        )

    async def close(self) -> None:
        """Close the channels; the inlets were closed before."""
        for publisher in self._publishers:
            await publisher.close()
