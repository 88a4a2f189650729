"""The admin API on a server of its own, in the process of the test, and a client that checks every answer."""

import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry
from pydantic import TypeAdapter

from bridge.about.api import AboutRoutes
from bridge.access.api import AccessRoutes, AuditRoutes
from bridge.access.service import Access
from bridge.access.store import SqlAccess
from bridge.app.api import HookDesk, event_of, hook_desk, statistics_routes
from bridge.cluster.replicas import ALIVE, ReplicaRoutes
from bridge.core.errors import BrokerUnavailable, Problem, PublishFailed, SettingsError
from bridge.core.event import Source
from bridge.core.hook import Hook
from bridge.core.ports import Outgoing, Publisher, Target
from bridge.deliveries.api import DeliveryActions, DeliveryRoutes
from bridge.deliveries.bulk import BulkRoutes
from bridge.deliveries.outbox import SqlOutbox
from bridge.deliveries.service import Requests, RetryDelivery
from bridge.events.api import HistoryRoutes
from bridge.events.explain import Explain, LiveRoutes
from bridge.events.types import EventTypeRoutes, SeenTypes
from bridge.find.api import FindRoutes
from bridge.find.service import Finder
from bridge.formats.decoder import Decoder
from bridge.formats.parse import BOUNDS
from bridge.history.history import SqlHistory
from bridge.history.leases import SqlReplicas
from bridge.history.types import SqlEventTypes
from bridge.hooks.api_switches import Testing, TestRoutes
from bridge.hooks.names import AskedNames, KnownNames
from bridge.hooks.presenter import Addresses
from bridge.hooks.preview import PreviewRoutes, Previews
from bridge.hooks.store import Sealer, SqlHooks
from bridge.hooks.validate import Grounds
from bridge.http.api import Api
from bridge.http.documents import ProblemDocument
from bridge.http.health import Health
from bridge.http.operation import Operation, OperationGroup
from bridge.http.server import HttpServer
from bridge.inlets.api import InletRoutes
from bridge.measuring.dimensions import dimensions_of
from bridge.overview.api import OverviewRoutes
from bridge.overview.service import Overview, Stores
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker, Thresholds
from bridge.quarantine.api import QuarantineRoutes
from bridge.quarantine.service import Requeuing
from bridge.quarantine.store import SqlQuarantine
from bridge.retry.policy import CircuitBreaker, Policy, Rules
from bridge.routing.table import RoutingTable
from bridge.settings.tree import Http, Settings
from bridge.stats.store import SqlStatistics
from bridge.telemetry.metrics import Metrics
from bridge.ui.app import Ui
from tests.support.hooks_on_table import HooksOnTable
from tests.support.records import new_id

TOKEN = "adm\u00edn-Geheimnis-4711"


@dataclass
class ApiAnswer:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def names(self) -> list[str]:
        """The parameters that a problem names."""
        return [each["name"] for each in self.body["invalid-params"]]


class ApiClient:
    """Asks with the token, unless told otherwise; every answer must be what its document says."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        token: str | None = TOKEN,
        operations: Sequence[Operation] = (),
    ) -> None:
        self.session, self.url, self.token = session, url, token
        self.operations = operations

    async def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: Any = None
    ) -> ApiAnswer:
        """The answer at this path below /api/v1."""
        shown = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        async with self.session.request(
            method, f"{self.url}/api/v1{path}", headers=shown | dict(headers or {}), data=body
        ) as answer:
            text = await answer.text()
            found = ApiAnswer(answer.status, answer.headers, json.loads(text) if text else None)
        if text:
            _check(found)
            if found.status < 400:
                self._check_shape(method, path.partition("?")[0], found)
        return found

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> ApiAnswer:
        """The answer to a JSON body, or to none."""
        text = None if body is None else json.dumps(body).encode()
        return await self.ask(path, method=method, body=text, headers=headers)

    async def get(self, path: str) -> Any:
        """What stands there."""
        answer = await self.ask(path)
        assert answer.status == 200, answer.body
        return answer.body

    async def refused(self, path: str, status: int = 400) -> ApiAnswer:
        """The problem with this status that is answered."""
        answer = await self.ask(path)
        assert answer.status == status, answer.body
        return answer

    async def explain(self, message: Any) -> ApiAnswer:
        """What would come of a message."""
        text = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self.ask("/explain", method="POST", body=text)

    def _check_shape(self, method: str, path: str, answer: ApiAnswer) -> None:
        """It must be what the operation says."""
        for operation in sorted(self.operations, key=lambda each: "{" in each.path):
            pattern = re.sub(r"{\w+}", "[^/]+", operation.path)
            if operation.method == method and re.fullmatch(pattern, f"/v1{path}"):
                TypeAdapter(operation.answers[answer.status]).validate_python(answer.body)
                return


def _check(answer: ApiAnswer) -> None:
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert answer.headers["Cache-Control"] == "no-store"
    if answer.status >= 400:
        assert kind == "application/problem+json"
        problem = ProblemDocument.model_validate(answer.body)
        assert problem.status == answer.status
        assert problem.request_id == answer.headers["X-Request-Id"]
        return
    assert kind == "application/json"


@dataclass
class Sources:
    """Sources as this process and the broker have them."""

    states: dict[str, str] = field(default_factory=dict)
    counts: dict[str, tuple[int, int]] | None = None

    def state(self) -> Mapping[str, str]:
        return self.states

    def held(self) -> Mapping[str, tuple[int, int]]:
        return dict.fromkeys(self.states, (3, 500))

    async def count(self, _: Sequence[str]) -> Mapping[str, tuple[int, int]]:
        if self.counts is None:
            raise BrokerUnavailable("gone")
        return self.counts


@dataclass
class ServedApi:
    """The API, who asks, and what stands behind it."""

    client: ApiClient
    server: HttpServer
    table: HookTable
    sources: Sources
    access: Access
    api: Api
    desk: HookDesk
    health: dict[str, Any]
    in_force: HooksOnTable
    ui: Ui

    def runner(self, hook: str) -> HookWorker:
        """The runner of a hook."""
        runner = self.table.get(hook)
        assert runner is not None
        return runner


def runner_of(hook: Hook, *, served: bool = True) -> HookWorker:
    """A hook at rest."""
    nothing: Any = object() if served else None
    return HookWorker(
        hook,
        nothing,
        nothing,
        policy=Policy.of(hook),
        breaker=CircuitBreaker(Rules()),
        thresholds=Thresholds(),
        metrics=Metrics(CollectorRegistry()).hook(hook.id, hook.target.type),
        changed=lambda _runner: None,
    )


class NoReplicas:
    """Tells nobody."""

    async def tell(self, kind: str, about: str = "") -> None: ...

    def mention(self, kind: str, about: str = "") -> None: ...

    def listen(self, kind: str, heard: Any) -> None: ...


def _no_target(_: Hook) -> Target:
    raise SettingsError([Problem("target", "nothing is sent here")])


class NoBroker:
    """Publishes nothing."""

    async def publish(self, message: Outgoing) -> None:
        raise PublishFailed(f"no broker for {message.routing_key}")

    async def declare(self, queue: str) -> None:
        raise PublishFailed(f"no broker for {queue}")


@asynccontextmanager
async def serving_api(
    records: SqlHistory,
    hooks: Sequence[Mapping[str, Any]] = (),
    sources: Sequence[Mapping[str, Any]] = ({"name": "splynx", "queue": "hooks2", "format": "splynx"},),
    *,
    token: str | None = TOKEN,
    http: Http | None = None,
    more: Sequence[OperationGroup] = (),
    publisher: Publisher | None = None,
    settings: Mapping[str, Any] | None = None,
    ui: bool = False,
    build: Callable[[Hook], Target] | None = None,
) -> AsyncIterator[ServedApi]:
    """The API over this history, these hooks and these sources; with `more` parts. `settings` judge new hooks."""
    table = HookTable(lambda _event, _filters: None)
    made = [Hook.model_validate(hook) for hook in hooks]
    table.swap(RoutingTable(made), {hook.id: runner_of(hook) for hook in made})
    known = [Source.model_validate(source) for source in sources]
    live = Sources({source.name: "consuming" for source in known}, {source.queue: (7, 1) for source in known})
    decoders = {source.name: Decoder(source) for source in known}
    explain = Explain(table, known, decoders, new_id)
    routes = LiveRoutes(known, explain, consumed=live, counts=live.count)
    stored = SqlAccess(records.engine)
    access = Access(stored, stored, admin_token=token, new_id=lambda: new_id(time.time()))
    store = SqlHooks(records.engine, Sealer(["a key for tests, long enough"]))
    health = {
        "database": "up",
        "broker": {"consume": "up"},
        "consumers": live.states,
        "problems": [],
    }
    in_force = HooksOnTable(table, store, records, made, runner_of)
    await in_force.changed()
    names = AskedNames(KnownNames(in_force, known, records), records)
    dimensions = sorted({name for source in known for name in dimensions_of(source)})
    types = SeenTypes(SqlEventTypes(records.engine))
    history = HistoryRoutes(records, explain, names, dimensions, BOUNDS, types=types)
    whole = Settings.model_validate({"sources": sources, **(settings or {})})
    desk = hook_desk(in_force, store, whole, delete=in_force.delete, base=Path.cwd(), served=None)
    restarting = RetryDelivery(
        records, SqlOutbox(records.engine), table, publish=lambda _: None, control=NoReplicas()
    )
    testing = Testing(table, lambda: new_id(time.time()), partial(event_of, records, BOUNDS))
    parts: list[OperationGroup] = [
        history,
        EventTypeRoutes(types),
        FindRoutes(Finder(records, types, in_force, stored)),
        *desk.parts(),
        PreviewRoutes(
            Previews(
                records, in_force, Grounds.of(whole, Path.cwd(), None), build or _no_target, bounds=BOUNDS
            ),
            testing,
        ),
        DeliveryActions(restarting, Addresses(table), names),
        BulkRoutes(records, restarting, KnownNames(in_force, known, records)),
        DeliveryRoutes(records, Addresses(table), names, Requests(records, table, BOUNDS)),
        routes,
        QuarantineRoutes(
            Requeuing(SqlQuarantine(records.engine), known, publisher or NoBroker(), decoders), names
        ),
        AccessRoutes(access.desk),
        AboutRoutes(whole, records.size, replica="replica-1", started_at=1_700_000_000.0),
        InletRoutes(whole.inlets, lambda _inlet: {"accepted": 3}),
        ReplicaRoutes(SqlReplicas(records.engine), ALIVE),
        AuditRoutes(stored, access.desk, names),
        *statistics_routes(SqlStatistics(records.engine), known, in_force, names),
        TestRoutes(testing, names),
        OverviewRoutes(Overview(lambda: health, in_force, Stores.over(records.engine), 5 * 86_400)),
        *more,
    ]
    api = Api(parts, access.actors, access.log, new_id, records)
    served = http or Http(listen="127.0.0.1:0")
    url = None if served.public_url is None else str(served.public_url)
    made_ui = Ui(api, ["a key for tests, long enough"], url)
    pages = made_ui.application if ui else None
    server = HttpServer(served, Health(dict), CollectorRegistry(), api=api, ui=pages)
    await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            url = server.addresses.get("admin", server.addresses["http"])
            yield ServedApi(
                ApiClient(session, url, operations=api.operations()),
                *(server, table, live, access, api, desk, health, in_force, made_ui),
            )
    finally:
        await server.stop()
