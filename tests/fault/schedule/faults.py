"""What is done to a stage: three tracks of faults at the same time, each drawn from a seed.

The kinds follow from the seed alone; how they fall together follows from the machine as well.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from devtools.rabbitmq import NodeError, RabbitMQNode
from tests.fault.schedule.stage import Stage
from tests.support.bridge_process import BridgeProcess

Deed = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Done:
    """A fault that is over: the harm was undone at `until` (monotonic); it concerned this hook, or all."""

    kind: str
    begun: float
    until: float
    hook: str | None = None


@dataclass
class Faults:
    """Harms the stage until it is told to end; every harm is undone by then."""

    stage: Stage
    seed: int
    done: list[Done] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def counts(self) -> Counter[str]:
        """How often what was done."""
        return Counter(done.kind for done in self.done)

    async def run(self) -> None:
        """Returns after `over` was set, when everything works again."""
        async with asyncio.TaskGroup() as group:
            for number, bridge in enumerate(self.stage.bridges):
                group.create_task(self._bridges(Random(f"{self.seed} bridge {number}"), bridge))
            group.create_task(self._broker(Random(f"{self.seed} broker")))
            group.create_task(self._weather(Random(f"{self.seed} weather")))

    async def _pause(self, seconds: float) -> bool:
        """Wait; whether to go on."""
        try:
            await asyncio.wait_for(self.over.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def _do(self, kind: str, deed: Deed, hook: str | None = None) -> None:
        begun = time.monotonic()
        await deed()
        self.done.append(Done(kind, begun, time.monotonic(), hook))

    # ---- the bridge -----------------------------------------------------------------------------------

    async def _bridges(self, random: Random, bridge: BridgeProcess) -> None:
        while await self._pause(random.uniform(1, 3)):
            # One in ten may be harmed while it starts. All could, where a start takes long, and nothing would be done.
            if random.random() < 0.9:
                await self._started(bridge)
                await self._pause(random.uniform(2, 6))
            if not bridge.alive:
                await self._supervised(bridge)
            elif random.random() < 0.75:
                await self._do("kill -9 of the bridge", lambda: killed(bridge))
            else:
                await self._do("SIGTERM of the bridge", lambda: self._terminated(bridge))

    async def _supervised(self, bridge: BridgeProcess) -> None:
        """It ended by itself, which it may where there is no broker to start with: whoever supervises it starts it anew."""
        refused = bridge.exit_code == 1 and not bridge.said("bridge.started")
        if not refused or "a bug in amqp-bridge" in bridge.log_text:
            self.surprises.append(
                f"the bridge ended by itself with {bridge.exit_code}: {bridge.last_words()}"
            )
        await self._do("start without a broker", bridge.launch)

    async def _started(self, bridge: BridgeProcess) -> None:
        """It serves, or will not within 20 s."""
        deadline = time.monotonic() + 20
        while bridge.alive and not bridge.said("bridge.started") and time.monotonic() < deadline:
            if not await self._pause(0.5):
                return

    async def _terminated(self, bridge: BridgeProcess) -> None:
        bridge.signal(signal.SIGTERM)
        try:
            code = await bridge.ended(60)
        except AssertionError as slow:
            self.surprises.append(f"60 s after SIGTERM: {slow}")
            await bridge.kill()
        else:
            if code:
                self.surprises.append(f"exit code {code} after SIGTERM: {bridge.last_words()}")
        await bridge.launch()

    # ---- the broker -----------------------------------------------------------------------------------

    async def _broker(self, random: Random) -> None:
        while await self._pause(random.uniform(2, 6)):
            node = random.choice(self.stage.nodes)
            away = random.uniform(0.2, 3)
            draw = random.random()
            if draw < 0.65:
                await self._do("kill -9 of a node", lambda: self._node_killed(node, away))  # noqa: B023 - awaited here
            elif draw < 0.85 and len(self.stage.nodes) > 1:
                await self._do("stop_app of a node", lambda: self._node_stopped(node, away))  # noqa: B023 - awaited here
            else:
                await self._do("all connections closed", lambda: connections_closed(node))  # noqa: B023 - awaited here

    async def _node_killed(self, node: RabbitMQNode, away: float) -> None:
        await asyncio.to_thread(node.kill)
        await self._pause(away)
        await asyncio.to_thread(node.restart)
        await self._all_well()

    async def _node_stopped(self, node: RabbitMQNode, away: float) -> None:
        await asyncio.to_thread(node.stop_app)
        await self._pause(away)
        await asyncio.to_thread(node.start_app)
        await self._all_well()

    async def _all_well(self) -> None:
        """No other node goes before all let clients in again: a majority has to stay."""
        for node in self.stage.nodes:
            await asyncio.to_thread(node.await_ready, 60)

    # ---- everything else ------------------------------------------------------------------------------

    async def _weather(self, random: Random) -> None:
        kinds: Mapping[str, Callable[[Random, float], Awaitable[Any]]] = {
            "connections cut": self._cut,
            "half-open connections": self._half_open,
            "silent network": self._silent,
            "slow network": self._slow_network,
            "database locked": self._database_locked,
            "endpoint answers 500": self._endpoint_failing,
            "endpoint slow": self._endpoint_slow,
            "endpoint refuses": self._endpoint_refusing,
        }
        names = [name for name in kinds if name != "database locked" or self.stage.database_url is None]
        while await self._pause(random.uniform(2, 6)):
            kind = random.choice(names)
            begun = time.monotonic()
            hook = await kinds[kind](random, random.uniform(1, 6))
            self.done.append(Done(kind, begun, time.monotonic(), hook))

    async def _cut(self, random: Random, _: float) -> None:
        random.choice(self.stage.proxies).cut()

    async def _half_open(self, random: Random, _: float) -> None:
        random.choice(self.stage.proxies).cut_client_side()

    async def _silent(self, random: Random, seconds: float) -> None:
        proxy = random.choice(self.stage.proxies)
        proxy.silent = True
        await self._pause(seconds)
        # What was swallowed is missing from the stream: a connection cannot go on after that.
        proxy.cut()
        proxy.silent = False

    async def _slow_network(self, random: Random, seconds: float) -> None:
        delay = random.uniform(0.02, 0.3)
        for proxy in self.stage.proxies:
            proxy.delay = delay
        await self._pause(seconds)
        for proxy in self.stage.proxies:
            proxy.delay = 0

    async def _database_locked(self, _: Random, seconds: float) -> None:
        loop = asyncio.get_running_loop()

        def hold() -> None:
            with self.stage.bridges[0].history.locked():
                asyncio.run_coroutine_threadsafe(self._pause(seconds), loop).result()

        await asyncio.to_thread(hold)

    async def _endpoint_failing(self, random: Random, seconds: float) -> str:
        return await self._mood(random, seconds, "failing")

    async def _endpoint_slow(self, random: Random, seconds: float) -> str:
        return await self._mood(random, seconds, "slow")

    async def _mood(self, random: Random, seconds: float, mood: Any) -> str:
        hook = random.choice(self.stage.hooks)
        self.stage.endpoints[hook].mood = mood
        await self._pause(seconds)
        self.stage.endpoints[hook].mood = "well"
        return hook

    async def _endpoint_refusing(self, random: Random, seconds: float) -> str:
        hook = random.choice(self.stage.hooks)
        await self.stage.endpoints[hook].close()
        await self._pause(seconds)
        await self.stage.endpoints[hook].open()
        return hook


async def killed(bridge: BridgeProcess) -> None:
    """kill -9, and up again at once."""
    await bridge.kill()
    await bridge.launch()


async def connections_closed(node: RabbitMQNode) -> None:
    """As an operator would close them."""
    # The command fails when one of them ends by itself meanwhile.
    with suppress(NodeError):
        await asyncio.to_thread(node.rabbitmqctl, "close_all_connections", "soak")
