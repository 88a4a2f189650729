"""What kind a queue is, found out over AMQP: the broker tells nobody who may not use its management API, but it compares.

Tried with RabbitMQ 3.10.8. Both questions change nothing and take no message:

* A consumer with an offset. Streams accept it; classic and quorum queues refuse it (406), and say of which type they are.
* A declaration. It is refused over the first argument that differs, with the value that the queue has; so each refusal
  gives the next declaration one argument more, until one is accepted. It takes the right to configure.
"""

import re
from typing import Any

from aiormq import exceptions as amqp

from bridge.broker.link import Link
from bridge.model.queue import QueueKind, QueueType

IN_EXCLUSIVE_USE = "in exclusive use"
"""What the broker says (403) where another consumer has a queue for itself."""
_OFFSET = {"x-stream-offset": "next"}
_OF_TYPE = re.compile(r"of queue type rabbit_(classic|quorum)_queue")
_DIFFERS = re.compile(
    r"inequivalent arg '(x-[a-z-]+)' for .*: received none but current is the value '(.*)' of type '(\w+)'$",
    re.DOTALL,
)
_FLAG = re.compile(r"inequivalent arg '(durable|auto_delete)' for ")
_MOST_ARGUMENTS = 24
_NUMBERS = ("byte", "short", "int", "long")


async def kind_of(link: Link, queue: str, *, may_declare: bool) -> tuple[QueueKind, bool | None]:
    """The kind of a queue that is there, and whether a declaration without arguments, durable, is accepted; None: not tried.

    Raises AMQPError where the broker is lost, ChannelAccessRefused included.
    """
    kind = await _type_of(link, queue)
    if not may_declare:
        return QueueKind(kind, {"x-queue-type": kind} if kind == "stream" else {}), None
    arguments, whole, bare = await _arguments_of(link, queue)
    told = arguments.get("x-queue-type")
    if kind == "unknown" and told in ("classic", "quorum", "stream"):
        kind = told
    return QueueKind(kind, arguments, whole), bare


async def taken_by(link: Link, queue: str) -> str:
    """What the broker says where another consumer has the queue for itself; empty: none has. A message that comes just
    then goes back, so ask of empty queues only, and not of quorum queues, which count that and know no such consumers.
    """
    try:
        async with link.channel() as channel:
            await channel.basic_qos(prefetch_count=1)
            await channel.basic_consume(queue, _untaken)
    except amqp.ChannelAccessRefused as error:
        return str(error) if IN_EXCLUSIVE_USE in str(error) else ""
    return ""


async def _type_of(link: Link, queue: str) -> QueueType:
    try:
        async with link.channel() as channel:
            await channel.basic_qos(prefetch_count=1)
            await channel.basic_consume(queue, _untaken, arguments=dict(_OFFSET))
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
                await channel.queue_declare(queue, durable=True, arguments=dict(arguments) or None)
        except (amqp.ChannelPreconditionFailed, amqp.ChannelLockedResource) as error:
            if (flag := _FLAG.search(str(error))) is not None:
                return {**arguments, flag[1]: flag[1] != "durable"}, False, False
            found = _DIFFERS.search(str(error))
            if found is None or found[1] in arguments:
                return arguments, False, False
            arguments[found[1]] = _read(found[2], found[3])
        else:
            return arguments, True, not arguments
    return arguments, False, False


def _read(text: str, kind: str) -> Any:
    if kind == "bool":
        return text == "true"
    if any(kind.endswith(number) for number in _NUMBERS):
        return int(text)
    return text


async def _untaken(_: object) -> None:
    """What a stream got meanwhile stays in it."""
