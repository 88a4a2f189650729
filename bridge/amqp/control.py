"""Control messages between replicas: each has its own queue at one fanout exchange, and checks periodically for messages it
missed.
"""

import asyncio
import json
from collections.abc import Callable
from typing import NamedTuple, get_args

import structlog
import uuid_utils
from aiormq import exceptions as amqp

from bridge.amqp.connection import Link, lost_not_cancelled
from bridge.amqp.consumer import ConsumeChannel
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.core.errors import BridgeError
from bridge.core.event import Message
from bridge.core.ports import UNSIGNED, AckHandle, Kind, Outgoing
from bridge.wire.copies import Authenticator

log = structlog.get_logger(__name__)

_KINDS: frozenset[Kind] = frozenset(get_args(Kind))
_PREFETCH = 100
_PATIENCE = 2.0
_LONGEST_WORD = 1024
_LOOK_EVERY = 30.0


class FanoutControl:
    """The port Control; a replica's own listeners hear its messages at once, even without the broker."""

    def __init__(
        self,
        hearing: Link,
        speaking: Link,
        exchange: str,
        replica: str,
        authenticator: Authenticator,
        *,
        every: float = _LOOK_EVERY,
        forged: Callable[[], None] = lambda: None,
    ) -> None:
        """`exchange`: the fanout exchange of all replicas; `replica`: the unique id of this one; `forged` is called for each
        message without a valid signature, which is dropped.

        Every listener is called with "" every `every` seconds. `hearing` must not publish: the broker stops reading from
        publishing connections during an alarm.
        """
        self._hearing = hearing
        self._exchange = exchange
        self._replica = replica
        self._every = every
        self._authenticator = authenticator
        self._forged = forged
        self._queue = f"{exchange}.{replica}"
        self._listeners: dict[Kind, list[Callable[[str], None]]] = {kind: [] for kind in _KINDS}
        self._publisher = ConfirmedPublisher(speaking, timeout=_PATIENCE)
        self._speaking = speaking
        self._channel = ConsumeChannel(hearing, self._prepare, self._up)
        self._words: set[asyncio.Task[None]] = set()
        self._refused = False

    async def tell(self, kind: Kind, about: str = "") -> None:
        """Sends a message to all replicas; returns after two seconds at the latest."""
        self._hear(kind, about)
        if not self._speaking.up:
            return
        code = self._authenticator.code([kind, about, self._replica])
        word = json.dumps({"kind": kind, "about": about, "from": self._replica, "mac": code}).encode()
        message = Outgoing(
            self._exchange,
            "",
            str(uuid_utils.uuid7()),
            word,
            {},
            Message(word, content_type="application/json"),
        )
        try:
            with lost_not_cancelled():
                await self._publisher.publish(message)
        except BridgeError as error:
            log.info("control.not_told", kind=kind, about=about, error=str(error))

    def mention(self, kind: Kind, about: str = "") -> None:
        """Runs `tell` in the background."""
        task = asyncio.ensure_future(self.tell(kind, about))
        self._words.add(task)
        task.add_done_callback(self._words.discard)

    def listen(self, kind: Kind, heard: Callable[[str], None]) -> None:
        """Registers a listener for messages of this kind."""
        self._listeners[kind].append(heard)

    async def run(self) -> None:
        """Receives messages until cancelled."""
        self._channel.subscribe(self._queue, _PREFETCH, self._receive)
        hearing = asyncio.create_task(self._channel.run(), name="control")
        try:
            while True:
                await asyncio.sleep(self._every)
                self._look_again()
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)

    async def close(self) -> None:
        """Waits for pending messages, then closes the channel and the publisher; `run` may have been cancelled before."""
        await asyncio.gather(*self._words, return_exceptions=True)
        await self._channel.close()
        await self._publisher.close()

    def _look_again(self) -> None:
        for kind in _KINDS:
            self._hear(kind, "")

    async def _prepare(self, queue: str) -> bool:
        """Declares a queue that is deleted with its connection; without the right only the periodic checks remain."""
        try:
            async with self._hearing.channel() as channel:
                # Never a quorum queue, whatever the virtual host makes by default: those cannot be exclusive.
                declared = await channel.declare_queue(
                    queue, exclusive=True, auto_delete=True, arguments={"x-queue-type": "classic"}
                )
                await declared.bind(self._exchange, "")
        except (amqp.AMQPError, OSError, RuntimeError, BridgeError) as error:
            if not self._refused:
                self._refused = True
                log.warning(
                    "control.subscribe_failed",
                    error=str(error),
                    effect=f"changes elsewhere are seen within {self._every:g} s",
                )
            return False
        self._refused = False
        return True

    def _up(self, _queue: str, up: bool | None) -> None:
        if up:
            self._look_again()  # messages sent meanwhile were missed

    def _receive(self, message: Message, ticket: AckHandle) -> None:
        ticket.finish()
        word = _read(message.body)
        if word is None or not self._authenticator.accepts(word.code, [word.kind, word.about, word.sender]):
            if word is not None and word.kind == "history":
                # A bridge with another history has other keys.
                self._hear(word.kind, f"{word.about} {UNSIGNED}")
            else:
                self._forged()
                log.warning("control.forged", effect="it is ignored")
        elif word.sender != self._replica:
            self._hear(word.kind, word.about)
        # Acks are sent one by one: control messages are rare.
        self._channel.spawn(self._channel.flush())

    def _hear(self, kind: Kind, about: str) -> None:
        for heard in self._listeners[kind]:
            try:
                heard(about)
            except Exception:
                # An exception in one listener must not keep the message from the others.
                log.exception("control.internal_error", kind=kind, about=about)


class _Word(NamedTuple):
    kind: Kind
    about: str
    sender: str
    code: str


def _read(body: bytes) -> _Word | None:
    """Returns the message in a body; None if no replica can have sent it."""
    if len(body) > _LONGEST_WORD:
        return None
    try:
        word = json.loads(body)
        kind, about, sender, code = word["kind"], word["about"], word["from"], word["mac"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not all(isinstance(part, str) for part in (kind, about, sender, code)) or kind not in _KINDS:
        return None
    return _Word(kind, about, sender, code)
