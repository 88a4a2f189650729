"""The lifecycle of a bridge: start in order, run, stop in order."""

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from bridge import __version__
from bridge.access.service import Access
from bridge.access.store import SqlAccess
from bridge.app.api import Actions, Repeating, make_api, readiness
from bridge.app.build import Container, new_id
from bridge.app.connections import Logins, Refusals, make_links
from bridge.app.coordination import ReplicaCoordination
from bridge.app.expiry import ExpiryMonitor
from bridge.app.memory import PolicyLimits
from bridge.app.startup import DependencyMonitor, despite_losses, there
from bridge.cluster.replicas import Neighbours, Ownership, own_history
from bridge.core.delivery import Parked
from bridge.core.errors import BridgeError
from bridge.db.engine import SqlOwnership
from bridge.history.claims_store import SqlClaims
from bridge.history.guards_store import SqlRecollection, SqlSuspects
from bridge.history.history import SqlHistory, open_history
from bridge.history.leases import SqlReplicas
from bridge.history.retention import Retention
from bridge.hooks.reloading import Reloading, Written
from bridge.hooks.store import SqlHooks, message_keys, open_hook_store
from bridge.http.api import Api
from bridge.http.health import Health
from bridge.http.server import HttpServer, Routes
from bridge.meta_events.monitor import FailingHookMonitor, SqlStandings
from bridge.pipeline.backpressure import hand_back
from bridge.pipeline.monitors import StoreSamples
from bridge.settings.tree import Settings
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.wire.authenticity import MessageKeys

log = structlog.get_logger(__name__)

_SWEEP_EVERY = 0.25
_LOOK_EVERY = 0.02
_LAST_PARKINGS = 5.0
_LAST_COMMIT = 10.0
_POLITE = 5.0
_POLICIES = 2.0


class Bridge:
    """A bridge: call `start`, then `run` until it is cancelled, then `stop`."""

    def __init__(
        self,
        settings: Settings,
        written: Written,
        *,
        base: Path,
        served: frozenset[str] | None,
        patience: float = 0,
    ) -> None:
        """`written`: the origin of the settings; `base`: the folder of relative paths of scripts; `served`: the target types
        attempted here, None for all; `patience`: seconds that the start waits for broker and database.
        """
        self._settings = settings
        self.reloading = Reloading(settings, written)
        self._look_at_policies = written.policies
        self._patience = patience
        self._base = base
        self._served = served
        self._registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        self._metrics = Metrics(self._registry, every_hook=settings.metrics.every_hook)
        self._refusals = Refusals(self._metrics, settings.broker.outage_after, settings.storage.outage_after)
        self._logins = Logins(settings, written.logins, self._refusals)
        self._links = make_links(settings, self._metrics, self._logins.of_broker)
        self._health = Health(self.status)
        self._http: HttpServer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._history: SqlHistory | None = None
        self._parts: Container | None = None
        self._together: ReplicaCoordination | None = None
        self._neighbours: Neighbours | None = None
        self._limits: PolicyLimits | None = None
        self._guard: asyncio.Task[None] | None = None
        self._stopping = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # ---- start ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Starts all parts; raises a BridgeError, written for the operator, if one is unavailable."""
        settings = self._settings
        until = time.monotonic() + self._patience
        self._history = await there("database", until, self._open_history)
        owned = await self._connect(SqlOwnership(self._history.engine), until)
        access = self._access(self._history)
        store = await open_hook_store(settings, self._history.engine)
        keys = await message_keys(settings, self._history.engine)
        parts = self._parts = self._make_parts(self._history, store, access, keys)
        await despite_losses(parts.topology.ensure_base)
        await despite_losses(partial(self._claim, parts))
        together = self._together = ReplicaCoordination(
            parts, store, self._history.engine, served=self._served, several=not self._alone
        )
        self._neighbours = Neighbours(parts.control, settings.broker.prefix, owned)
        await parts.in_force.start()
        self.reloading.serve(parts.in_force, parts.control, parts.replica_id)
        if await together.begin():
            await parts.guard.watch_out()
            parts.sources.start_small()
        actions = Actions(parts, self._history, together.replicas)
        repeating = Repeating(parts, self._history, together.replicas, actions.sender)
        api = make_api(parts, self._history, access, actions, repeating, reloading=self.reloading)
        self._http = self._server(parts.reception.inlets.routes(), api)
        await self._http.start()
        self._spawn_all(parts, together)
        self._spawn(self._neighbours.run(), "neighbours")
        self._spawn(actions.outbox.run(), "outbox")
        self._spawn(repeating.replays.run(), "replays")
        self._spawn(self._lookout(parts, self._history).run(), "lookout")
        parts.consume_strays()
        await self._watch_policies(parts)
        parts.sources.start()
        self._health.serving()
        watching = self.reloading.watch if settings.reload == "watch" else self.reloading.watch_proxies
        self._spawn(watching(), "watch the file")
        events.started(__version__, len(settings.sources), len(settings.hooks))

    def _server(self, inlets: Routes, api: Api) -> HttpServer:
        served = self._settings.http, self._health, self._registry
        return HttpServer(*served, want_examples=self._metrics.want_examples, inlets=inlets, api=api)

    async def _watch_policies(self, parts: Container) -> None:
        if self._settings.broker.management_url is not None:
            look = self._look_at_policies
            limits = self._limits = PolicyLimits(look, parts.consumption, parts.names, parts.table)
            self._spawn(limits.run(), "limits by policy")
            await limits.known(_POLICIES)

    async def _open_history(self) -> SqlHistory:
        storage = self._settings.storage
        login, url = self._logins.of_database(), storage.url.get_secret_value()
        return await open_history(url, storage.tls, login=login, alone=self._alone)

    async def _connect(self, ownership: SqlOwnership, until: float) -> str:
        """Connects to the brokers; returns the id of the history, after checking that it belongs to this broker."""
        for link in self._links.all():
            await there(f"broker ({link.role})", until, link.connect_once)
        for link in self._links.spread(len(self._settings.sources) + 1):  # one for meta events
            await there(f"broker ({link.role})", until, link.connect_once)
        for link in self._links.all():
            self._spawn(link.run(), f"link {link.role}")
        claim = partial(own_history, self._links.topology, ownership, self._settings)
        return await despite_losses(claim)

    def _make_parts(
        self, history: SqlHistory, store: SqlHooks, access: Access, keys: MessageKeys
    ) -> Container:
        parts = Container(
            self._settings,
            history,
            self._links,
            self._metrics,
            access.log,
            store=store,
            suspects=SqlSuspects(history.engine),
            recollection=SqlRecollection(history.engine),
            claims=SqlClaims(history.engine),
            keys=keys,
            alone=self._alone,
            base=self._base,
            served=self._served,
        )
        access.join(parts.control)
        self._links.ends.sources, self._links.ends.on_crashes = parts.consumption.alone_on, self._part
        return parts

    def _access(self, history: SqlHistory) -> Access:
        token = self._settings.http.admin_token
        stored = SqlAccess(history.engine)
        access = Access(
            stored,
            stored,
            admin_token=None if token is None else token.get_secret_value(),
            new_id=new_id,
        )
        self._spawn(access.run(self._settings.storage.audit), "access")
        return access

    def _lookout(self, parts: Container, history: SqlHistory) -> FailingHookMonitor:
        return FailingHookMonitor(
            SqlStandings(history.engine),
            SqlReplicas(history.engine),
            parts.table,
            parts.herald,
            holder=parts.replica_id,
            threshold=self._settings.delivery.auto_pause_after,
            pause=parts.pause,
            new_id=new_id,
        )

    @property
    def _alone(self) -> bool:
        """Returns whether the history serves one process only, as SQLite does."""
        return self._settings.storage.for_one_process

    async def _claim(self, parts: Container) -> None:
        if self._alone:
            ownership = Ownership(self._links.topology, parts.topology, self._settings.broker.heartbeat)
            await ownership.claim()
            self._spawn(ownership.keep(), "ownership")

    def _spawn_all(self, parts: Container, together: ReplicaCoordination) -> None:
        storage = self._settings.storage
        guard = DependencyMonitor(
            parts.sources,
            parts.recorder,
            self._links.publish,
            parts.delivering,
            history_after=storage.outage_after,
            broker_after=self._settings.broker.outage_after,
        )
        self._spawn(parts.topology.keep(), "topology")
        self._spawn(parts.recorder.run(), "recorder")
        self._spawn(parts.guard.run(), "guard")
        self._spawn(parts.recall.run(), "recall")
        self._spawn(parts.consumption.run(), "consumption")
        self._spawn(parts.fence.run(), "fence")
        self._spawn(parts.unverified.run(), "unverified copies")
        self._spawn(parts.service.run(), "lanes")
        self._spawn(parts.service.find_lanes(), "find lanes")
        for work, name in (*together.work(), (parts.memory.run(), "memory")):
            self._spawn(work, name)
        self._spawn(parts.stray_channel.run(), "strays")
        self._spawn(parts.strays.make_room(), "room for strays")
        self._spawn(parts.samples.run(), "samples")
        self._spawn(StoreSamples(parts.history, parts.metrics).run(), "store samples")
        tokens = SqlAccess(parts.history.engine)
        self._spawn(ExpiryMonitor(self._settings, parts.table, tokens, parts.metrics).run(), "expiry")
        self._spawn(parts.silence.run(), "silence")
        self._spawn(parts.errands.run(), "meta events")
        self._guard = self._spawn(guard.run(), "outage guard")
        self._spawn(self._retention(parts, together).run(), "retention")
        self._spawn(self._sweep(parts), "sweep")

    def _retention(self, parts: Container, together: ReplicaCoordination) -> Retention:
        storage = self._settings.storage
        return Retention(
            parts.history,
            together.statistics,
            parts.claims,
            together.replicas,
            parts.replica_id,
            keep=storage.retention,
            keep_sums=storage.statistics,
            every=storage.retention_every,
            batch=storage.retention_batch,
        )

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.append(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Ends the bridge if a background task fails: a bridge without one of its parts must not look healthy."""
        if self._stopping or self.failed.done():
            return
        error = BridgeError(f"{task.get_name()} was cut off") if task.cancelled() else task.exception()
        if error is not None:
            self.failed.set_exception(error)

    # ---- run ------------------------------------------------------------------------------------------

    async def _sweep(self, parts: Container) -> None:
        while True:
            await asyncio.sleep(_SWEEP_EVERY)
            parts.balance.sweep(parts.sources.held(), time.monotonic())
            await parts.send_acks()
            parts.sources.admit_kept_back()
            await parts.hooks.reap()

    def status(self) -> dict[str, Any]:
        """Returns the state of broker, database and consumers, for /health/ready."""
        if self._parts is None:
            return {"status": "starting"}
        problems = self._refusals.problems() + self._links.ends.problems()
        told = (each.problem for each in (self._neighbours, self._limits) if each is not None)
        problems += filter(None, told)
        return readiness(self._parts, self._links, problems)

    def _part(self, role: str) -> None:
        if self._parts is not None and not self._stopping:
            for link in self._parts.consumption.part(role):
                self._spawn(link.run(), f"link {link.role}")

    @property
    def addresses(self) -> dict[str, str]:
        """Returns the base URLs of the HTTP server."""
        return self._http.addresses if self._http is not None else {}

    # ---- stop -----------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Stops consuming, finishes or parks deliveries in flight, flushes history and acks, and closes; within a bound."""
        self._health.ending()
        self._stopping = True
        unfinished = 0
        if self._parts is not None and self._tasks:
            unfinished = await self._drain(self._parts)
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(link.close() for link in self._links.all()))
        if self._http is not None:
            await self._http.stop()
        if self._together is not None:
            await self._together.leave()
        if self._history is not None:
            await self._history.close()
        if self._parts is not None:
            events.stopped(unfinished)

    async def _drain(self, parts: Container) -> int:
        if self._guard is not None:
            self._guard.cancel()  # it would take the stop for the end of an outage, and consume again
        if self._together is not None:
            await self._politely(self._together.stop())
        await self._politely(parts.sources.leave(for_good=True))
        await self._politely(parts.service.stop())
        await hand_back(parts.delivering, "stopping", park=True, spent=parts.sources.spent)
        await self._settle_down(parts, self._settings.limits.drain)
        unfinished = 0
        for runner in parts.hooks.all_runners():
            for work in await runner.close():
                unfinished += 1
                if not work.from_lane:
                    # The message may carry deliveries that are done: parking the rest repeats only the attempt that was cut
                    # off.
                    self._spawn(parts.delivering.conclude(runner, work, Parked("stopping")), "last parking")
        await self._settle_down(parts, _LAST_PARKINGS)
        await self._last_commit(parts)
        await self._politely(parts.errands.drained())
        channels = (
            parts.sources.close(),
            parts.lanes.close(),
            parts.stray_channel.close(),
            parts.control.close(),
        )
        await self._politely(asyncio.gather(*channels))
        await self._politely(parts.reception.inlets.close())
        await self._politely(parts.close())
        return unfinished

    async def _politely(self, work: Awaitable[Any]) -> None:
        """Waits for the broker for a bounded time: a broker that does not respond redelivers what it holds."""
        try:
            async with asyncio.timeout(_POLITE):
                await work
        except TimeoutError:
            log.warning("stop.broker_is_silent", waited=_POLITE)

    async def _settle_down(self, parts: Container, bound: float) -> None:
        for _ in range(int(bound / _LOOK_EVERY) + 1):
            if not self._busy(parts):
                return
            await asyncio.sleep(_LOOK_EVERY)

    def _busy(self, parts: Container) -> bool:
        parking = any(task.get_name() == "last parking" and not task.done() for task in self._tasks)
        reading = parts.sources.busy or parts.aside.busy or parts.recall.busy
        return parking or reading or any(runner.busy for runner in parts.hooks.all_runners())

    async def _last_commit(self, parts: Container) -> None:
        try:
            async with asyncio.timeout(_LAST_COMMIT):
                await parts.recorder.drained()
        except TimeoutError:
            log.warning(
                "stop.history_not_flushed", effect="unsettled messages are handed out again by the broker"
            )
        await parts.send_acks()
