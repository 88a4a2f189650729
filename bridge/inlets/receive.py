"""Inlets: a webhook comes in, is verified, and becomes a confirmed message of a source before it is answered."""

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
from bridge.core.inlet import Inlet
from bridge.core.ports import Outgoing, Publisher
from bridge.inlets.handshakes import Greeting, Handshakes, Question
from bridge.inlets.headers import is_ping, joined
from bridge.inlets.message import (
    BODY_TIME,
    NOT_AUTHORIZED,
    Messages,
    Received,
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
from bridge.signing.shapes import Refused, SignedRequest, Verify
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.wire.inlet_paths import IN, PathTable

# Routes of inlets: any method, and paths as they were sent.


Handle = Callable[[web.Request, str, str], Awaitable[web.StreamResponse]]
"""Answers a request to the inlet of this name, whose path is followed by that text."""
Judge = Callable[[web.Request, str], web.Response | None]
"""Refuses a request by its headers, before its body is asked for."""


class InletRoutes(web.AbstractRouteDef):
    """All inlets as one route, which is asked last: the bridge's own paths come first."""

    def __init__(self, paths: PathTable, handle: Handle, judge: Judge) -> None:
        self._paths = paths
        self._handle = handle
        self._judge = judge

    def register(self, router: web.UrlDispatcher) -> list[web.AbstractRoute]:
        resource = _InletResource(self._paths, self._handle, self._judge)
        router.register_resource(resource)
        return list(resource)


class _InletResource(web.AbstractResource):
    """aiohttp's own resources compare decoded paths and know their methods beforehand."""

    def __init__(self, paths: PathTable, handle: Handle, judge: Judge) -> None:
        super().__init__()
        self._paths = paths
        self._judge = judge
        self._handle = handle
        self._route = web.ResourceRoute("*", self._answer, self, expect_handler=self._expect)

    @property
    def canonical(self) -> str:
        """Where the router looks for it: below `/` is everything."""
        return "/"

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        found = self._paths.find(request.rel_url.raw_path)
        if found is None:
            return None, set()
        return web.UrlMappingMatchInfo({"inlet": found[0], "rest": found[1]}, self._route), set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        return await self._handle(request, request.match_info["inlet"], request.match_info["rest"])

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        """Ask for the body of `Expect: 100-continue` only where it has a chance."""
        if refusal := self._judge(request, request.match_info["inlet"]):
            return refusal
        if request.version == HttpVersion11 and request.headers["Expect"].lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer itself has not begun
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
"""Bytes from which on a body is hashed and looked into in a thread: it takes longer than others should wait."""
_STOPPING = unavailable("the bridge is stopping", close=True)
_NO_BODY = frozenset({204, 205})
_LAST_ANSWERS = 2.0
_LOOK_EVERY = 0.02
_P = ParamSpec("_P")
_T = TypeVar("_T")

CameTo = Refusal | Greeting | str
"""A refusal, the answer to a question, or the label of what was taken."""


class Inlets:
    """All inlets of a process."""

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
        """`publisher` must fail fast; `most_body`: bytes that no setting goes beyond; `body_time`: seconds.

        Raises ValueError for a verifier that cannot work.
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
        """What the server is to serve."""
        return [InletRoutes(_paths(self._inlets), self._handle, self._judge)] if self._inlets else []

    async def close(self) -> None:
        """Accept nothing more (503), and let what is being published end, within a bound."""
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
            if self._closing:  # by now
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
        for label in ("accepted", "refused", "unavailable"):  # a rate needs the zero before the first one
            _ = self._answers[label]

    def judge(self, request: web.Request) -> Refusal | Greeting | None:
        """What method, query and headers alone tell."""
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
        """Verify and publish; returns once the broker confirmed, with the label for the metric."""
        fields = tuple(request.headers.items())
        received = Received(request.method, rest, fields, joined(fields), body)
        signed = SignedRequest(body, received.headers, request.method, request.rel_url.raw_path)
        now = time.time()
        verified: int | None = None
        if self._verifiers:
            found = await _aside(body, self._first_that_verifies, signed, now)
            verified = found if isinstance(found, int) else None
            if self._is_ping(received, verified):
                return "ping"
            if not isinstance(found, int):
                events.inlet_refused(self._inlet.name, request.remote, found)
                return NOT_AUTHORIZED
        if greeting := self._handshakes.greet_verified(body):
            return greeting
        message = await _aside(body, self._messages.message, received, verified, now)
        return message if isinstance(message, Refusal) else await self._publish(message)

    def _first_that_verifies(self, request: SignedRequest, now: float) -> int | list[str]:
        """The number of the first verifier that accepts the request, or why each refuses it."""
        reasons = []
        for number, (settings, verify) in enumerate(zip(self._inlet.verify, self._verifiers, strict=True)):
            refused = verify(request, now)
            if not isinstance(refused, Refused):
                return number
            reasons.append(f"{settings.type}: {refused.reason}")
        return reasons

    def _is_ping(self, request: Received, verified: int | None) -> bool:
        """Splynx asks an endpoint for `ok` before anything is signed; others may mean an event with this body."""
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
        """The response, counted and told."""
        self._answers[came_to if isinstance(came_to, str) else came_to.label].value += 1
        if isinstance(came_to, Greeting):
            return greeted(came_to)
        if isinstance(came_to, Refusal):
            self._tell_unavailable(came_to)
            return came_to.response()
        if came_to == "accepted" and self._unavailable:
            events.inlet_available(self._inlet.name, self._unavailable)
            self._unavailable = 0
        status = 200 if came_to == "ping" else self._inlet.success
        text = "ok" if came_to == "ping" else self._inlet.answer
        return web.Response(status=status, text=None if status in _NO_BODY else text)

    def _tell_unavailable(self, refusal: Refusal) -> None:
        """The first of a row is told, the others are counted: there may be thousands a second."""
        if refusal.status == 503:
            self._unavailable += 1
            if self._unavailable == 1:
                events.inlet_unavailable(self._inlet.name, refusal.reason)


async def _aside(body: bytes, work: Callable[_P, _T], /, *given: _P.args, **named: _P.kwargs) -> _T:
    """What `work`, which hashes the body, returns; without holding up others where that is large."""
    return work(*given, **named) if len(body) < _LARGE else await asyncio.to_thread(work, *given, **named)


def _paths(inlets: Sequence[Inlet]) -> PathTable:
    exact, below = [], []
    for inlet in inlets:
        path = inlet.path or ""
        # Where everybody is let in, the path may be the secret; names are none.
        own = [] if inlet.open and path else [IN + inlet.name]
        for each in filter(None, (*own, path.removesuffix("/*"))):
            exact.append((each, inlet.name))
            if inlet.event_type_path or path.endswith("/*"):
                below.append((each, inlet.name))
    return PathTable(exact, below)


# What comes in over HTTP and goes to a source: the inlets, and the publisher that they and the API share.


class Reception:
    """On channels of its own: what harms the channel that copies go through must not harm senders."""

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
        """`prepare` makes a source's queue where it is missing."""
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
