"""The type of a queue, found out over AMQP: only the management API reports it, but the broker's refusals tell it.

Tried with RabbitMQ 3.10, 4.0 and 4.3. Both tests change nothing and take no message:

* A consumer with an offset. Streams accept it; classic and quorum queues refuse it (406), and the error names their type.
* A declaration. It is refused over the first argument that differs, and the error has the queue's value; so each refusal
  gives the next declaration one more argument, until one is accepted. It requires the configure permission.
"""

import asyncio
import contextlib
import math
import re
import time
import uuid
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, Literal

import structlog
from aiormq import exceptions as amqp

from bridge.amqp.connection import Link
from bridge.amqp.topology import Topology, is_cut_short
from bridge.core.errors import BrokerUnavailable
from bridge.core.event import Message
from bridge.core.survey import OUR_CONSUMERS, QueueKind, QueueType, release_of
from bridge.wire.effects import Effect, effects_of

IN_EXCLUSIVE_USE = "in exclusive use"
"""The text in the broker's error (403) when another consumer has exclusive use of a queue."""
_OFFSET = {"x-stream-offset": "next"}
_OF_TYPE = re.compile(r"of queue type rabbit_(classic|quorum)_queue")
_DIFFERS = re.compile(
    r"inequivalent arg '(x-[a-z-]+)' for .*: received none but current is the value '(.*)' of type '(\w+)'$",
    re.DOTALL,
)
_OTHER_TYPE = re.compile(
    r"inequivalent arg '(x-queue-type)' for .*: received '\w+' but current is '(\w+)'$", re.DOTALL
)
"""RabbitMQ 4 compares with the default type."""
_REFUSAL = 155
"""Bytes of the texts below beside the name of the queue; a virtual host or value that is longer is rare."""
_FLAG = re.compile(r"inequivalent arg '(durable|auto_delete)' for ")
_MOST_ARGUMENTS = 24
_NUMBERS = ("byte", "short", "int", "long")


async def kind_of(link: Link, queue: str, *, may_declare: bool) -> tuple[QueueKind, bool | None]:
    """Returns the type of an existing queue, and whether a durable declaration without arguments is accepted; None: not tried.

    Raises AMQPError if the connection is lost, and ChannelAccessRefused.
    """
    if is_cut_short(queue, _REFUSAL):
        bare = await _is_bare(link, queue) if may_declare else None
        if bare is not False:
            return QueueKind(), bare
        # It was refused in words, so this broker answers the rest as well.
    kind = await _type_of(link, queue)
    if not may_declare:
        return QueueKind(kind, {"x-queue-type": kind} if kind == "stream" else {}), None
    arguments, whole, bare = await _arguments_of(link, queue)
    told = arguments.get("x-queue-type")
    if kind == "unknown" and told in ("classic", "quorum", "stream"):
        kind = told
    return QueueKind(kind, arguments, whole), bare


async def _is_bare(link: Link, queue: str) -> bool:
    try:
        async with link.channel() as channel:
            await channel.declare_queue(queue, durable=True)
    except (amqp.ChannelPreconditionFailed, amqp.ChannelLockedResource):
        return False
    return True


async def taken_by(link: Link, queue: str) -> str:
    """Returns the broker's error text if another consumer has exclusive use of the queue, else empty text. A message that
    arrives during the test is returned, so use it on empty queues only, and not on quorum queues, which count returns and have
    no exclusive consumers.
    """
    try:
        async with link.channel() as channel:
            await channel.set_qos(prefetch_count=1)
            await (await channel.get_queue(queue, ensure=False)).consume(_untaken)
    except amqp.ChannelAccessRefused as error:
        return str(error) if IN_EXCLUSIVE_USE in str(error) else ""
    return ""


async def _type_of(link: Link, queue: str) -> QueueType:
    try:
        async with link.channel() as channel:
            await channel.set_qos(prefetch_count=1)
            await (await channel.get_queue(queue, ensure=False)).consume(_untaken, arguments=dict(_OFFSET))
    except amqp.ChannelPreconditionFailed as error:
        found = _OF_TYPE.search(str(error))
        if found is None:
            return "unknown"
        return "quorum" if found[1] == "quorum" else "classic"
    except amqp.ChannelAccessRefused:
        return "unknown"
    return "stream"


async def _arguments_of(link: Link, queue: str) -> tuple[dict[str, Any], bool, bool]:
    arguments: dict[str, Any] = {}
    for _ in range(_MOST_ARGUMENTS):
        try:
            async with link.channel() as channel:
                await channel.declare_queue(queue, durable=True, arguments=dict(arguments) or None)
        except (amqp.ChannelPreconditionFailed, amqp.ChannelLockedResource) as error:
            if (flag := _FLAG.search(str(error))) is not None:
                return {**arguments, flag[1]: flag[1] != "durable"}, False, False
            found = _DIFFERS.search(str(error)) or _OTHER_TYPE.search(str(error))
            if found is None or found[1] in arguments:
                return arguments, False, False
            arguments[found[1]] = _read(*found.groups())
        else:
            return arguments, True, not arguments
    return arguments, False, False


def _read(argument: str, text: str, kind: str = "longstr") -> Any:
    if argument == "x-max-age" and text.isdigit():
        return f"{int(text) // 1000}s"  # RabbitMQ 4.3 tells milliseconds, and takes none
    if kind == "bool":
        return text == "true"
    if any(kind.endswith(number) for number in _NUMBERS):
        return int(text)
    return text


async def _untaken(_: object) -> None:
    """Ignores a message that arrives during the test: a stream keeps it."""


# The queues of sources: declared only as their publishers do, and checked before they are consumed.


log = structlog.get_logger(__name__)

_LOST = (amqp.AMQPError, OSError, RuntimeError)


class Contract(IntEnum):
    """The result of comparing a source queue with its publishers' declaration (metric bridge_source_contract_mismatch)."""

    UNKNOWN = -1
    KEPT = 0
    BROKEN = 1


class SourceQueues:
    """Checks the queue of each source once per connection."""

    def __init__(
        self,
        link: Link,
        topology: Topology,
        *,
        verify_only: bool = False,
        contract: Callable[[str, Contract], None] = lambda _queue, _contract: None,
        kind: Callable[[str, QueueKind], None] = lambda _queue, _kind: None,
    ) -> None:
        """`contract(queue, state)` gets how a queue's declaration compares, `kind(queue, kind)` its type."""
        self._link = link
        self._topology = topology
        self._verify_only = verify_only
        self._contract = contract
        self._kind = kind
        self._looked_at: dict[str, object] = {}
        self._streams: set[str] = set()
        self._unanswered: set[str] = set()
        self._told: dict[str, list[Effect]] = {}
        self.release: tuple[int, ...] = ()
        """Major and minor number of the broker's version."""

    async def prepare(self, queue: str) -> bool:
        """Returns whether the queue can be consumed: it exists, or was declared as its publishers do."""
        try:
            depth = await self._topology.depth(queue)
        except BrokerUnavailable as error:
            log.warning("source.not_available", queue=queue, error=str(error))
            return False
        if depth is not None:
            return await self._look(queue)
        if self._verify_only or queue in self._streams:
            advice = "create it anew" if queue in self._streams else _VERIFY_ONLY
            log.warning("source.missing", queue=queue, advice=advice)
            return False
        return await self._topology.declare_source(queue) and await self._look(queue)

    async def compare_again(self, queues: Sequence[str]) -> None:
        """Compares these queues again: policies, limits and default types change at run time.

        Raises BrokerUnavailable.
        """
        for queue in queues:
            self._looked_at.pop(queue, None)
            if await self._topology.depth(queue) is not None:  # else the declaration would create it
                await self._look(queue)

    async def _look(self, queue: str) -> bool:
        """Checks a queue once per connection; returns whether it can be consumed."""
        connection = await self._link.connection()
        if self._looked_at.get(queue) is connection:
            return True
        self.release = release_of(str(connection.server_properties.get("version", "")))
        try:
            kind, bare = await self._found(queue)
        except _LOST as error:
            # RabbitMQ 4 closes the connection over a refusal whose text it cuts within a character: it is not asked for again.
            if isinstance(error, amqp.ConnectionInternalError) and not queue.isascii():
                self._unanswered.add(queue)
            log.warning("source.not_available", queue=queue, error=str(error))
            return False
        # Publishers to a stream have to declare it as one, since no other declaration creates a stream.
        self._contract(queue, Contract.KEPT if kind.is_stream else _CONTRACTS[bare])
        self._kind(queue, kind)
        (self._streams.add if kind.is_stream else self._streams.discard)(queue)
        if bare is False and not kind.is_stream:
            log.warning("source.contract_mismatch", queue=queue, arguments=dict(kind.arguments))
        self._tell(queue, list(effects_of(kind)))
        self._looked_at[queue] = connection
        return True

    def _tell(self, queue: str, effects: list[Effect]) -> None:
        for effect in effects if effects != self._told.get(queue) else ():
            tell = log.info if effect.weight == "ok" else log.warning
            tell("source.queue", queue=queue, effect=effect.what, advice=effect.advice)
        self._told[queue] = effects

    def forget(self, queue: str) -> None:
        """Forgets a queue that may have been deleted: it may be created again with another type."""
        self._looked_at.pop(queue, None)

    async def _found(self, queue: str) -> tuple[QueueKind, bool | None]:
        # In verify mode a declaration needs a permission that is missing, and would recreate a queue that was deleted just now.
        if not self._verify_only and queue not in self._unanswered:
            with contextlib.suppress(amqp.ChannelAccessRefused):
                return await kind_of(self._link, queue, may_declare=True)
        return await kind_of(self._link, queue, may_declare=False)


_VERIFY_ONLY = "topology is `verify`: create the queue, durable, no arguments"
_CONTRACTS = {None: Contract.UNKNOWN, True: Contract.KEPT, False: Contract.BROKEN}


# The end of a stream: the broker reports its length seconds late, and no offsets, so its last messages are read.


_AT_ONCE = 200
_STILL = 1.0
"""Seconds without a message after which the end counts as reached."""
_MOST = 100_000
_NO_END = 1 << 63
_LONGEST = 5.0
"""Seconds after which the last message read counts as the end, if messages keep arriving."""


async def first_place(link: Link, queue: str, offset: Literal["last", "next"]) -> int | None:
    """Returns the last offset that is skipped by a reader which starts with the last messages, or with the next one.

    None if nothing is delivered. Timestamps do not suffice: the broker stores whole seconds of its own clock. Raises
    BrokerUnavailable.
    """
    if offset == "next":
        return await last_offset(link, queue, _NO_END, within=_LONGEST)
    first = await last_offset(link, queue, 0)
    return None if first is None else first - 1


async def last_offset(link: Link, queue: str, enough: int, *, within: float = math.inf) -> int | None:
    """Returns the offset of the last message, or one that is at least `enough`; None if nothing is delivered.

    `within`: seconds after which the last message read suffices. Raises BrokerUnavailable.
    """
    until = time.monotonic() + within
    offsets: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
    consumer = f"{OUR_CONSUMERS}{uuid.uuid4().hex}"
    last: int | None = None

    def take(tag: int, message: Message) -> None:
        offsets.put_nowait((tag, int(message.headers.get("x-stream-offset", -1))))

    connection = await link.connection()
    try:
        async with link.channel() as channel:
            underlay = await channel.get_underlay_channel()
            await channel.set_qos(prefetch_count=_AT_ONCE)
            # Through the reader of this package, which accepts any message: the library ends the connection over some.
            await connection.consume(channel, queue, consumer, take, {"x-stream-offset": "last"})
            for _ in range(_MOST):
                tag, offset = await asyncio.wait_for(offsets.get(), _STILL)
                last = offset
                await underlay.basic_ack(tag, wait=False)
                if offset >= enough or time.monotonic() > until:
                    break
    except TimeoutError:
        return last
    except (amqp.AMQPError, OSError, RuntimeError) as error:
        raise BrokerUnavailable(str(error)) from error
    finally:
        connection.forget(consumer)
    return last
