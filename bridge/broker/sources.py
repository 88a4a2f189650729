"""The queues of sources: never declared but as their publishers do, and looked at before they are consumed."""

import contextlib
from collections.abc import Callable, Sequence
from enum import IntEnum

import structlog
from aiormq import exceptions as amqp

from bridge.broker.kinds import kind_of
from bridge.broker.link import Link
from bridge.broker.topology import Topology
from bridge.model.errors import BrokerUnavailable
from bridge.model.queue import QueueKind, release_of
from bridge.rules.wire.effects import Effect, effects_of

log = structlog.get_logger(__name__)

_LOST = (amqp.AMQPError, OSError, RuntimeError)


class Contract(IntEnum):
    """How a source queue compares with its publishers' declaration (metric bridge_source_contract_mismatch)."""

    UNKNOWN = -1
    KEPT = 0
    BROKEN = 1


class SourceQueues:
    """Looks at each queue once per connection."""

    def __init__(
        self,
        link: Link,
        topology: Topology,
        *,
        verify_only: bool = False,
        contract: Callable[[str, Contract], None] = lambda _queue, _contract: None,
        kind: Callable[[str, QueueKind], None] = lambda _queue, _kind: None,
    ) -> None:
        """`contract(queue, state)` hears how each queue compares with the fixed parameters, `kind(queue, kind)` what it is,
        before it is consumed.
        """
        self._link = link
        self._topology = topology
        self._verify_only = verify_only
        self._contract = contract
        self._kind = kind
        self._looked_at: dict[str, object] = {}
        self._streams: set[str] = set()
        self._told: dict[str, list[Effect]] = {}
        self.release: tuple[int, ...] = ()
        """Major and minor number of the broker's version."""

    async def prepare(self, queue: str) -> bool:
        """The queue can be consumed: it is there, or was made the way its publishers make it."""
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
        """Tell anew how these queues compare: policies, limits and default types change meanwhile.

        Raises BrokerUnavailable.
        """
        for queue in queues:
            self._looked_at.pop(queue, None)
            if await self._topology.depth(queue) is not None:  # else the declaration would make it
                await self._look(queue)

    async def _look(self, queue: str) -> bool:
        """Once per connection; whether it may be consumed."""
        connection = await self._link.connection()
        if self._looked_at.get(queue) is connection:
            return True
        self.release = release_of(str(connection.server_properties.get("version", "")))
        try:
            kind, bare = await self._found(queue)
        except _LOST as error:
            log.warning("source.not_available", queue=queue, error=str(error))
            return False
        # Whoever publishes to a stream says so in the declaration: no other makes one.
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
        """It was deleted, perhaps: whoever makes it anew may make another one."""
        self._looked_at.pop(queue, None)

    async def _found(self, queue: str) -> tuple[QueueKind, bool | None]:
        # In verify mode a declaration needs a right that is not there, and would make a queue that was deleted just now.
        if not self._verify_only:
            with contextlib.suppress(amqp.ChannelAccessRefused):
                return await kind_of(self._link, queue, may_declare=True)
        return await kind_of(self._link, queue, may_declare=False)


_VERIFY_ONLY = "topology is `verify`: create the queue, durable, no arguments"
_CONTRACTS = {None: Contract.UNKNOWN, True: Contract.KEPT, False: Contract.BROKEN}
