"""Every setting, with its default, unit, bounds and meaning: one typed tree.

The table in docs/settings.md and schemas/config.schema.json are made from it.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    IPvAnyNetwork,
    SecretStr,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from bridge.core.base import Bytes, Seconds, StrictModel
from bridge.core.event import Source
from bridge.core.hook import Hook
from bridge.core.inlet import Inlet
from bridge.settings.databases import Database, SqliteFile, read_database, storage_url
from bridge.settings.transport import (
    BrokerAuth,
    BrokerOAuth2,
    SecretUrl,
    ServerTls,
    StorageTls,
    broker_url,
    collector_url,
    listen_address,
    management_url,
)


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretUrl) else value


def _hard_to_guess(value: SecretStr) -> SecretStr:
    if not 16 <= len(value.get_secret_value()) <= 1024:
        raise ValueError("a key has 16 to 1024 characters")
    return value


BrokerUrls = Annotated[
    list[Annotated[SecretUrl, AfterValidator(broker_url)]],
    BeforeValidator(_one_or_many),
    Field(min_length=1, max_length=20),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 20},
            ]
        }
    ),
]
StorageUrl = Annotated[SecretUrl, AfterValidator(storage_url)]
ManagementUrl = Annotated[SecretUrl, AfterValidator(management_url)]
Listen = Annotated[str, AfterValidator(listen_address)]
CollectorUrl = Annotated[str, AfterValidator(collector_url)]


class OtherBroker(StrictModel):
    """Another broker that queue targets deliver to, by its name."""

    url: BrokerUrls
    """Address, or several that are tried in turn."""
    tls: ServerTls = ServerTls()
    """TLS to this broker; used with amqps:// only."""
    auth: BrokerAuth = "plain"
    """How to log in, as at `broker.auth`."""
    oauth2: BrokerOAuth2 | None = None
    """Where the tokens for `auth: oauth2` come from."""


class Broker(StrictModel):
    """The broker that is consumed from, and where lanes and ladder live."""

    url: BrokerUrls = Field(default_factory=lambda: [SecretUrl("amqp://guest:guest@127.0.0.1:5672/")])
    """Address, or several that are tried in turn."""
    management_url: ManagementUrl | None = None
    """Address of the broker's management API such as http://user:password@host:15672, which knows the delivery limits that
    policies set on sources; else a limit of 20 is assumed where a queue's arguments say none. The user needs the tag
    policymaker or monitoring."""
    prefix: str = Field(default="bridge", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """Beginning of the name of every queue and exchange of the bridge's own."""
    topology: Literal["create", "verify"] = "create"
    """verify: exchanges and queues exist already and are only looked at (no configure right)."""
    queue_type: Literal["quorum", "classic"] = "quorum"
    """Type of the bridge's own queues; classic is weaker (no delivery limit, dead-lettering without confirms)."""
    consumer_timeout: Seconds = Field(default=1800, ge=60, le=7 * 86_400)
    """The broker's own bound on how long a message may stay unsettled (its `consumer_timeout`)."""
    heartbeat: Seconds = Field(default=15, ge=1, le=600)
    """Interval at which both sides show that they are alive; a silent connection is given up after two."""
    connect_timeout: Seconds = Field(default=10, gt=0, le=300)
    """Bound on one attempt to connect to one address, handshake included."""
    publish_timeout: Seconds = Field(default=10, gt=0, le=300)
    """Bound on the broker's confirm of one publish."""
    silent_after: Seconds = Field(default=15, ge=1, le=3600)
    """A consumer that gets nothing for this long, although messages are ready for it, is subscribed anew."""
    outage_after: Seconds = Field(default=60, ge=1, le=3600)
    """Publishing blocked or impossible for this long is an outage: consuming stops until it is over."""
    tls: ServerTls = ServerTls()
    """TLS to the broker; used with amqps:// only."""
    auth: BrokerAuth = "plain"
    """How to log in. plain: user and password of `url`; external: the certificate `tls.cert` says who it is, and
    the broker needs the plugin rabbitmq_auth_mechanism_ssl; oauth2: a token of `oauth2`, and the broker needs the
    plugin rabbitmq_auth_backend_oauth2."""
    oauth2: BrokerOAuth2 | None = None
    """Where the tokens for `auth: oauth2` come from."""


class Storage(StrictModel):
    """The history of events, deliveries and attempts."""

    url: StorageUrl = SecretUrl("sqlite:///bridge.db")
    """sqlite:///file.db for one process; postgresql://user:password@host/database for several replicas, with libpq's
    parameters after `?` as far as they are listed in docs/history.md."""
    tls: StorageTls = StorageTls()
    """TLS to PostgreSQL."""
    retention: Seconds = Field(default=7 * 86_400, ge=60, le=10 * 366 * 86_400)
    """How long a delivery is kept after its final status; what waits is never removed."""
    statistics: Seconds = Field(default=3 * 366 * 86_400, ge=60 * 86_400, le=10 * 366 * 86_400)
    """How long the sums of days are kept; those of hours are kept for 60 days, those of minutes for 2."""
    retention_every: Seconds = Field(default=60, ge=1, le=86_400)
    """Interval between two rounds of removal."""
    retention_batch: int = Field(default=500, ge=1, le=10_000)
    """Events removed in one transaction."""
    audit: Seconds = Field(default=366 * 86_400, ge=60, le=100 * 366 * 86_400)
    """How long entries of the audit log are kept."""
    keep: Literal["all", "failures"] = "all"
    """failures: only deliveries that did not succeed at once are recorded."""
    outage_after: Seconds = Field(default=60, ge=1, le=3600)
    """The database gone for this long is an outage: consuming stops until it is back."""
    take_over: str = Field(default="", max_length=1000)
    """Whose history this bridge takes over, as the refusal to start names its owner: after the prefix changed, after
    the broker was renamed or replaced, for a restored backup. A history of anybody else is still refused."""
    encryption_keys: list[Annotated[SecretStr, AfterValidator(_hard_to_guess)]] = Field(
        default_factory=list, max_length=20
    )
    """Keys, any texts of at least 16 characters, that targets of hooks made through the API are sealed with: the first
    seals, all open. The same on all replicas. Empty: `http.admin_token` serves as the key, and must not change then."""

    @property
    def database(self) -> Database:
        """Returns the parsed `url`."""
        return read_database(self.url.get_secret_value())

    @property
    def for_one_process(self) -> bool:
        """A file serves one process; a server, several replicas."""
        return isinstance(self.database, SqliteFile)


class History(StrictModel):
    """Group commit: how many entries share one transaction of the history."""

    min_wait: Seconds = Field(default=0.02, ge=0, le=1)
    """How long entries are gathered while there is little to do."""
    max_wait: Seconds = Field(default=0.1, gt=0, le=5)
    """How long entries are gathered under load."""
    rows: int = Field(default=500, ge=1, le=10_000)
    """Entries at which a transaction begins without further waiting."""

    @model_validator(mode="after")
    def _ordered(self) -> "History":
        if self.min_wait > self.max_wait:
            raise ValueError("`min_wait` cannot be longer than `max_wait`")
        return self


class Http(StrictModel):
    """The HTTP server, and the networks that webhooks may reach."""

    listen: Listen = "127.0.0.1:8080"
    """host:port of inlets, health, API and metrics; port 0 takes any free one."""
    admin_listen: Listen | None = None
    """host:port of a second socket for everything; then only inlets and health answer on `listen`."""
    admin_token: SecretStr | None = None
    """Bearer token of the admin API with the role admin, which needs no database; null: only tokens that were made
    through the API let in."""
    connections: int = Field(default=1000, ge=10, le=100_000)
    """Connections of clients at once on each socket; at most half of the files that the process may open. Beyond it the
    one that waits longest for a request is closed, and where all are busy a new one gets 503."""
    allow_private_targets: list[IPvAnyNetwork] = Field(default_factory=list, max_length=1000)
    """Networks (CIDR) that webhooks may reach although they are private, loopback or link-local."""
    allow_scripts: bool = False
    """true: hooks whose target is a script may be made through the API, so an admin's token runs any program here."""
    ui: bool = True
    """true: the operator UI is served at /ui/ beside the API."""
    public_url: HttpUrl | None = None
    """URL at which browsers reach this server if a proxy stands before it, such as https://bridge.example.net/amqp; with
    https the cookies of the UI are `Secure`. null: as the request says."""

    @field_validator("admin_token")
    @classmethod
    def _empty_is_none(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value and value.get_secret_value().strip() else None

    @property
    def pages(self) -> str:
        """Returns the address of the operator UI as people reach it; empty if there is none, or it is not known."""
        return f"{str(self.public_url).rstrip('/')}/ui" if self.ui and self.public_url is not None else ""

    @field_validator("public_url")
    @classmethod
    def _only_a_base(cls, value: HttpUrl | None) -> HttpUrl | None:
        if value is not None and (value.query or value.fragment or value.username or value.password):
            raise ValueError("must be scheme, host and path alone")
        return value


class Limits(StrictModel):
    """Bounds on what one message and one process may take."""

    body: Bytes = Field(default=134_217_728, ge=1024, le=536_870_912)
    """Body of one message; a larger one goes to quarantine (RabbitMQ 3 takes 128 MiB, RabbitMQ 4 16 MiB)."""
    headers: Bytes = Field(default=100_000, ge=1024, le=120_000)
    """Headers of one message; larger ones go to quarantine (RabbitMQ closes the connection at 131 kB)."""
    response: Bytes = Field(default=4096, ge=0, le=16_384)
    """How much of the beginning of a receiver's answer is kept in the history."""
    memory: Annotated[Bytes, Field(ge=8_388_608, le=1_099_511_627_776)] | None = None
    """What one process may hold of messages, bodies and all that is made of them; null: a third of the memory that its
    cgroup (its pod, its container) may take, where that is limited, else 256 MiB."""
    inflated: Bytes = Field(default=16_777_216, ge=1024, le=536_870_912)
    """How much of a body is parsed, once it is not compressed any more. A larger one is delivered as it came, and
    `event.data` is null. Over 16 MiB the process may stand still for longer than 50 ms."""
    values: int = Field(default=250_000, ge=100, le=10_000_000)
    """Values in a body that is parsed, of which a quarter may be arrays and objects; beyond it as with `inflated`."""
    open_deliveries: int = Field(default=2000, ge=1, le=100_000)
    """Deliveries that one process holds at once."""
    hooks: int = Field(default=5000, ge=0, le=100_000)
    """Hooks that may be made through the API; each has a lane on the broker."""
    drain: Seconds = Field(default=25, ge=0, le=3600)
    """How long a stop waits for attempts under way."""
    core_dumps: bool = False
    """true: the process may dump core and be looked into by others of its user, as debuggers do; its memory and its
    environment hold every secret."""


class Breaker(StrictModel):
    """When a hook's breaker opens and how it probes; the same for every hook."""

    failures: int = Field(default=5, ge=1, le=1000)
    """Failures in a row that open it."""
    window: int = Field(default=20, ge=1, le=1000)
    """How many of the last attempts `share` is taken over."""
    share: float = Field(default=0.5, gt=0, le=1)
    """Share of failures among the last `window` attempts that opens it."""
    first_probe: Seconds = Field(default=1, gt=0, le=3600)
    """Wait before the first probe; it doubles with every failed probe."""
    longest_probe: Seconds = Field(default=60, gt=0, le=86_400)
    """Longest wait between two probes."""


class Delivery(StrictModel):
    """The concurrency of attempts, and when deliveries wait in their hook's lane."""

    park_timeout_over: Seconds = Field(default=30, ge=0, le=86_400)
    """Hooks whose target has a longer timeout are always served through their lane."""
    lane_depth_direct: int = Field(default=1000, ge=0, le=10_000_000)
    """Messages in a lane beyond which the hook is served through it until it is empty."""
    prefetch_share: float = Field(default=0.8, gt=0, le=1)
    """Share of a source's prefetch in use beyond which a delivery that waits for a slot is parked."""
    slow_after: Seconds = Field(default=1, gt=0, le=3600)
    """Age of an attempt from which on it counts as slow."""
    slow_share: float = Field(default=0.25, gt=0, le=1)
    """Share of a source's prefetch that slow attempts may hold; beyond it slow hooks use their lanes."""
    retry_after_max: Seconds = Field(default=86_400, ge=0, le=30 * 86_400)
    """Longest Retry-After of a receiver that is honoured."""
    auto_pause_after: Seconds = Field(default=5 * 86_400, ge=0, le=366 * 86_400)
    """A hook that has only failed for this long is paused, what waits stays; meta events warn at 50, 70, 90 and 100 %
    of it. 0: never."""


class Log(StrictModel):
    """The level and form of logs, which go to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least weight of what is logged; debug shows every attempt, info the failed ones. What an outage would repeat for
    every message is told ten times in ten seconds; the next line has how many were left out (`left_out`)."""
    format: Literal["auto", "console", "json"] = "auto"
    """auto: console on a terminal, JSON lines elsewhere."""


class Metrics(StrictModel):
    """The content of /metrics."""

    every_hook: bool = False
    """true: every hook has its own label; false: those beyond the first 200 share the label `other`. In
    `bridge_attempt_duration_seconds` they do in any case."""


class Traces(StrictModel):
    """Traces by OpenTelemetry, exported by OTLP over HTTP; needs the extra `amqp-bridge[otel]`.

    What is not given here follows the environment variables of OpenTelemetry: `OTEL_EXPORTER_OTLP_ENDPOINT`,
    `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*` and the rest.
    """

    enabled: bool = False
    """true: each message, delivery and attempt makes a span."""
    endpoint: CollectorUrl | None = None
    """URL of the collector such as http://collector:4318; without a path, /v1/traces is added. null: as
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT say, else http://localhost:4318."""
    sample: float | None = Field(default=None, ge=0, le=1)
    """Share of the traces that begin here and are recorded; one that a publisher began is recorded if the publisher records
    it. null: as OTEL_TRACES_SAMPLER says, else all."""
    service_name: str | None = Field(default=None, min_length=1, max_length=255)
    """The resource's service.name; null: as OTEL_SERVICE_NAME says, else amqp-bridge."""
    attributes: dict[str, str] = Field(default_factory=dict, max_length=50)
    """More attributes of the resource, such as deployment.environment.name; those of OTEL_RESOURCE_ATTRIBUTES are kept
    beside them."""


class Telemetry(StrictModel):
    """What is told to other systems for operating the bridge, beside logs and metrics."""

    traces: Traces = Traces()
    """Traces."""


class Settings(StrictModel):
    """The whole configuration."""

    broker: Broker = Broker()
    """The broker that is consumed from."""
    brokers: dict[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")], OtherBroker] = Field(
        default_factory=dict, max_length=50
    )
    """Other brokers by name, for queue targets."""
    storage: Storage = Storage()
    """The history."""
    history: History = History()
    """Group commit of the history."""
    http: Http = Http()
    """HTTP server and rules for outgoing webhooks."""
    limits: Limits = Limits()
    """Bounds on messages and on the process."""
    breaker: Breaker = Breaker()
    """Circuit breaker of hooks."""
    delivery: Delivery = Delivery()
    """Direct or through the lane."""
    log: Log = Log()
    """Logging."""
    metrics: Metrics = Metrics()
    """Metrics."""
    telemetry: Telemetry = Telemetry()
    """Traces."""
    reload: Literal["signal", "watch"] = "signal"
    """When the hooks of the file are read anew. signal: on SIGHUP and POST /api/v1/reload; watch: also whenever the file
    changes, links to it that are swapped (a ConfigMap) included; looked at every second."""
    sources: list[Source] = Field(default_factory=list, max_length=1000)
    """Queues that are consumed."""
    hooks: list[Hook] = Field(default_factory=list, max_length=100_000)
    """Hooks from the file."""
    inlets: list[Inlet] = Field(default_factory=list, max_length=1000)
    """HTTP paths that receive webhooks."""
