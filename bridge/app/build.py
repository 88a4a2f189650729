"""The composition root: the services of a bridge in the order of their start, and the steps of its shutdown in theirs.

Start: the services of `dependencies`, then those of `build`, from top to bottom. Shutdown on a signal: `_drain` while the
services run, then their tasks are cancelled from the last to the first, then `_close`. Failure: an error at the start or of a
running service ends the bridge by the same shutdown, as far as it has started; the process exits with that error.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from bridge import __version__
from bridge.app.api import Actions, Repeating, make_api, make_ui, readiness
from bridge.app.connections import Logins, Refusals, make_links
from bridge.app.lifecycle import Bridge, Drain, Plan, Service, Step
from bridge.app.monitors import Monitors, PolicyLimits
from bridge.app.parts import Dependencies, Resources, despite_losses
from bridge.app.stages import Parts
from bridge.cluster.replicas import Neighbours, Ownership
from bridge.core.base import new_id
from bridge.core.errors import HistoryUnavailable
from bridge.hooks.reloading import Reloading, ReloadRequests, SettingsOrigin, warn_of_secret_ends
from bridge.http.health import Health
from bridge.http.server import HttpServer
from bridge.pipeline.monitors import (
    StoreSamples,
)
from bridge.settings.tree import Settings
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_POLICIES = 2.0
"""Seconds that the start waits for the policies of queues."""
_ORPHANS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Process:
    """What belongs to the process, and is there before its dependencies are."""

    settings: Settings
    written: SettingsOrigin
    reloads: ReloadRequests
    registry: CollectorRegistry
    refusals: Refusals


def make_bridge(
    settings: Settings,
    written: SettingsOrigin,
    reloads: ReloadRequests,
    *,
    base: Path,
    served: frozenset[str] | None,
    patience: float = 0,
) -> Bridge:
    """Returns a bridge that has not started.

    `written`: the origin of the settings; `reloads` may be requested at any time; `base`: the folder of relative paths of
    scripts; `served`: the target types attempted here, None for all; `patience`: seconds that the start waits for broker and
    database.
    """
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    metrics = Metrics(registry, every_hook=settings.metrics.every_hook)
    refusals = Refusals(metrics, settings.broker.outage_after, settings.storage.outage_after)
    logins = Logins(settings, written.logins, refusals)
    links = make_links(settings, metrics, logins.of_broker)
    opened = Dependencies(settings, links, logins.of_database(), patience)
    process = Process(settings, written, reloads, registry, refusals)
    warn_of_secret_ends(settings)

    async def build_when_open() -> Plan:
        return build(process, opened, await opened.resources(metrics, base, served, new_id()))

    return Bridge(dependencies(opened), build_when_open)


def dependencies(opened: Dependencies) -> Plan:
    """Returns the services without which no part can be made."""
    return Plan(
        services=(
            Service("database", start=opened.open_database),
            # Links reconnect from here on: the next steps survive a broker node that goes down.
            Service("broker connections", start=opened.connect, run=opened.stay_connected),
            # Before anything is declared or consumed: two bridges on one history would deliver each other's events.
            Service("history's owner", start=opened.own_history),
        ),
        drain=(),
        close=(
            Step("broker connections", opened.disconnect, within=None),
            Step("database", opened.close_database, within=None),
        ),
    )


def build(process: Process, opened: Dependencies, given: Resources) -> Plan:
    """Returns the plan of a bridge whose dependencies are open."""
    parts = Parts(given)
    front = _front(process, parts)
    drain = Drain(parts)
    return Plan(
        services=(
            *_before_serving(parts, front),
            *_background(parts, front),
            *_serving(process, parts, front),
        ),
        drain=_drain(parts, drain),
        close=_close(parts, front, drain, opened),
        stopping=front.health.ending,
        stopped=drain.report,
    )


# The order of the start.


def _before_serving(parts: Parts, front: "_Front") -> Iterator[Service]:
    given, broker, hooks = parts.given, parts.broker, parts.hooks
    yield Service("access", run=partial(parts.notices.access.run, given.settings.storage.audit))
    # Lanes and delay queues: everything after this may park a delivery.
    yield Service("topology", start=_despite_losses(broker.topology.ensure_base), run=broker.topology.keep)
    if given.alone:
        # SQLite serves one process: a second one must not get as far as consuming.
        lock = Ownership(given.links.topology, broker.topology, given.settings.broker.heartbeat)
        yield Service("prefix lock", start=_despite_losses(lock.claim), run=lock.keep)
    # Hooks before sources: an event that comes before its hook would match nothing.
    yield Service("hooks in force", start=hooks.in_force.start, run=hooks.in_force.run)
    # Requests that came since the process began are done now.
    yield Service("reloading", run=front.reloading.run)
    # Registers this process; after an unclean stop redelivered messages are suspects, before any is consumed.
    yield Service("replica", start=partial(_register, parts), run=hooks.heartbeat.run)
    # Before sources: an address that is in use ends the start while nothing is in flight.
    yield Service("http", start=front.http.start)


def _background(parts: Parts, front: "_Front") -> Iterator[Service]:
    """Yields what runs beside each other; it runs before anything is consumed, and the order within does not matter."""
    stages, lanes, hooks, monitors = parts.pipeline, parts.lanes, parts.hooks, Monitors(parts)
    yield Service("recorder", run=stages.recorder.run)
    yield Service("poison message guard", run=stages.poison.run)
    yield Service("redelivery filter", run=stages.redeliveries.run)
    yield Service("consumption", run=parts.sources.consumption.run)
    yield Service("separate connections", run=parts.sources.consumption.separate)
    yield Service("fence", run=lanes.fence.run)
    yield Service("unverified copies", run=lanes.unverified.run)
    yield Service("lanes", run=lanes.scheduler.run)
    yield Service("find lanes", run=lanes.scheduler.find_lanes)
    yield Service("control", run=parts.broker.control.run)
    yield Service("hook deletion", run=hooks.deletion.run)
    yield Service("hook health", run=monitors.hook_health().run)
    yield Service("memory", run=monitors.memory().run)
    yield Service("orphans", run=parts.broker.orphans.run)
    yield Service("room for orphans", run=lanes.orphans.make_room)
    yield Service("queue depths", run=monitors.depths().run)
    yield Service("size of the history", run=StoreSamples(parts.given.history, parts.given.metrics).run)
    yield Service("expiry", run=monitors.expiry().run)
    yield Service("stalled consumers", run=monitors.stalled().run)
    yield Service("meta events", run=parts.notices.background.run)
    # It would take the shutdown for the end of an outage, and consume again.
    yield Service("dependency monitor", run=monitors.dependencies().run, while_serving=True)
    yield Service("retention", run=monitors.retention().run)
    yield Service("sweep", run=partial(_sweep, parts))
    yield Service("neighbours", run=front.neighbours.run)
    yield Service("outbox", run=front.actions.outbox.run)
    yield Service("replays", run=front.repeating.replays.run)
    yield Service("failing hooks", run=monitors.failing_hooks().run)


def _serving(process: Process, parts: Parts, front: "_Front") -> Iterator[Service]:
    settings, reloading = process.settings, front.reloading
    yield Service("consume orphans", start=partial(_consume_orphans, parts))
    if settings.broker.management_url is not None:
        # Delivery limits bound how much of a source may be held, so they are awaited before sources, but not for long.
        yield Service("policies", run=front.policies.run)
        yield Service("known policies", start=partial(front.policies.known, _POLICIES))
    # Last: from here on messages are in flight.
    yield Service("sources", start=_now(parts.sources.sources.start))
    yield Service("readiness", start=_now(front.health.serving))
    watch = reloading.watch if settings.reload == "watch" else reloading.watch_proxies
    yield Service("watch the file", run=watch)
    started = partial(events.started, __version__, len(settings.sources), len(settings.hooks))
    yield Service("started", start=_now(started))


# The order of the shutdown.


def _drain(parts: Parts, drain: Drain) -> tuple[Step, ...]:
    sources, broker = parts.sources, parts.broker
    return (
        # Other replicas take over lanes that are being deleted.
        Step("hook deletion", parts.hooks.deletion.stop),
        # Nothing new comes in; then what waits goes back, and what was begun ends or is parked.
        Step("sources", partial(sources.sources.leave, for_good=True)),
        Step("lanes", parts.lanes.scheduler.stop),
        Step("waiting deliveries", drain.return_waiting, within=None),
        Step("attempts", drain.finish_attempts, within=None),
        Step("unfinished attempts", drain.park_unfinished, within=None),
        # Acks follow from the commit, and need their channels.
        Step("history", drain.commit, within=None),
        Step("meta events", parts.notices.background.drained),
        Step(
            "channels",
            partial(_close_channels, sources.sources, broker.lanes, broker.orphans, broker.control),
        ),
        Step("inlets", sources.reception.inlets.close),
        Step("targets", parts.close),
    )


def _close(parts: Parts, front: "_Front", drain: Drain, opened: Dependencies) -> tuple[Step, ...]:
    brokers, database = dependencies(opened).close
    return (
        Step("unfinished parkings", drain.cancel_parking, within=None),
        # Before the sign-off: nothing may arrive after it.
        brokers,
        Step("http", front.http.stop, within=None),
        Step("replica", partial(_sign_off, parts), within=None),
        database,
        *((Step("traces", parts.given.tracing.close, within=None),) if parts.given.tracing else ()),
    )


# Steps.


_LAST_WORD = 2.0
_SWEEP_EVERY = 0.25


def _now(step: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        step()

    return run


def _despite_losses(step: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    return partial(despite_losses, step)


async def _register(parts: Parts) -> None:
    if await parts.hooks.heartbeat.begin(alone=parts.given.alone):
        await parts.pipeline.poison.watch_out()
        parts.sources.sources.start_small()


async def _sign_off(parts: Parts) -> None:
    """Notes that the process stopped cleanly; the database is still open."""
    with suppress(HistoryUnavailable, TimeoutError):
        async with asyncio.timeout(_LAST_WORD):
            await parts.pipeline.poison.leave()
            await parts.pipeline.redeliveries.leave()
    await parts.hooks.heartbeat.leave()


async def _consume_orphans(parts: Parts) -> None:
    names, orphans = parts.given.names, parts.lanes.orphans
    parts.broker.orphans.subscribe(names.orphans, _ORPHANS_AT_ONCE, orphans.orphan)
    parts.broker.orphans.subscribe(names.dead, _ORPHANS_AT_ONCE, orphans.dead)


class _Closes(Protocol):
    async def close(self) -> None: ...


async def _close_channels(*channels: _Closes) -> None:
    await asyncio.gather(*(channel.close() for channel in channels))


async def _sweep(parts: Parts) -> None:
    while True:
        await asyncio.sleep(_SWEEP_EVERY)
        parts.pipeline.isolation.sweep(parts.sources.sources.held(), time.monotonic())
        await parts.broker.send_acks()
        parts.broker.admit_kept_back()
        await parts.hooks.runners.reap()


# What serves people and other programs.


@dataclass(frozen=True, slots=True)
class _Front:
    health: Health
    http: HttpServer
    reloading: Reloading
    neighbours: Neighbours
    policies: PolicyLimits
    actions: Actions
    repeating: Repeating


def _front(process: Process, parts: Parts) -> _Front:
    given, control, hooks = parts.given, parts.broker.control, parts.hooks
    neighbours = Neighbours(control, given.settings.broker.prefix, given.history_id)
    policies = PolicyLimits(
        process.written.policies, parts.sources.consumption, given.names, parts.notices.table
    )
    reloading = Reloading(
        *(given.settings, process.written, process.reloads, hooks.in_force),
        control=control,
        replica=given.replica_id,
    )

    def status() -> dict[str, Any]:
        problems = [*process.refusals.problems(), *given.links.ends.problems()]
        return readiness(parts, [*problems, *filter(None, (neighbours.problem, policies.problem))])

    health, actions = Health(status), Actions(parts)
    repeating = Repeating(parts, actions.sender)
    api = make_api(parts, actions, repeating, reloading, status)
    ui = make_ui(api, given.settings)
    http = HttpServer(
        *(given.settings.http, health, process.registry),
        want_examples=given.metrics.want_examples,
        inlets=parts.sources.reception.inlets.routes(),
        api=api,
        ui=None if ui is None else ui.application,
    )
    return _Front(health, http, reloading, neighbours, policies, actions, repeating)
