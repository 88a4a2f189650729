"""A hook as people write it: which events go to which target, and how."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from bridge.model.units import Bytes, PerSecond, Seconds


class Strict(BaseModel):
    """Frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Retry(Strict):
    """When a failed attempt is tried again."""

    preset: Literal["standard", "splynx", "phlix", "cockpit", "none"] | None = None
    """A named schedule; `standard` where neither a preset nor a schedule is given."""
    schedule: list[Seconds] | None = Field(default=None, min_length=1, max_length=100)
    """Waits between the attempts; the last one repeats up to `max_attempts`."""
    max_attempts: int | None = Field(default=None, ge=1, le=1000)
    """Attempts in all, the first included; default: one more than the schedule has waits."""
    max_age: Seconds | None = Field(default=None, ge=0)
    """No further attempt once the event is this old."""
    jitter: float | None = Field(default=None, ge=0, le=1)
    """Each wait is lengthened by a random part of it up to this share."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "Retry":
        if self.preset is not None and self.schedule is not None:
            raise ValueError("give either `preset` or `schedule`, not both")
        if self.schedule and any(wait < 0 for wait in self.schedule):
            raise ValueError("a wait in `schedule` cannot be negative")
        return self


class Auth(Strict):
    """HTTP authentication towards the receiver."""

    type: Literal["basic", "bearer"]
    """basic: user name and password; bearer: a token."""
    username: str = ""
    """User name for basic."""
    password: SecretStr = SecretStr("")
    """Password for basic."""
    token: SecretStr = SecretStr("")
    """Token for bearer."""


class Tls(Strict):
    """How the receiver's certificate is checked and which one is shown to it."""

    verify: bool = True
    """false: any certificate is taken."""
    ca_bundle: str | None = None
    """File with the certificates to trust, PEM; default: what the system trusts."""
    client_cert: str | None = None
    """File with the certificate to show to the receiver, PEM."""
    client_key: str | None = None
    """File with the private key of `client_cert`, PEM."""


class WebhookTarget(Strict):
    """An HTTP endpoint."""

    type: Literal["webhook"]
    """webhook: an HTTP endpoint."""
    url: str = Field(min_length=1, max_length=2048)
    """Where requests go, http:// or https://."""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    """HTTP method."""
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    """Sent with every request; they cannot replace the ones that carry the signature."""
    auth: Auth | None = None
    """HTTP authentication; default: none."""
    profile: Literal["standard", "splynx", "github", "none"] = "standard"
    """Body shape and signature headers."""
    secrets: list[SecretStr] = Field(default_factory=list, max_length=10)
    """Live secrets; all of them sign where the scheme allows it, the first otherwise."""
    body: Literal["raw", "event", "data"] = "raw"
    """raw: the message's bytes; event: the event as an object; data: its data alone."""
    timeout: Seconds = Field(default=15.0, gt=0, le=600)
    """Seconds for the whole attempt: connect, send, and read the answer."""
    connect_timeout: Seconds = Field(default=5.0, gt=0, le=600)
    """Bound on connecting, TLS handshake included."""
    tls: Tls = Tls()
    """TLS to the receiver."""
    success: list[int] | None = None
    """Status codes that deliver; default: 200 to 299."""
    final: list[int] = Field(default_factory=list)
    """Status codes that fail for good, without another attempt."""
    proxy: str | None = None
    """URL of an HTTP proxy; default: none."""


class Limits(Strict):
    """What a script may use."""

    memory: Bytes | None = Field(default=None, ge=1024 * 1024)
    """Address space in bytes."""
    cpu: Seconds | None = Field(default=None, ge=1)
    """CPU time in seconds."""
    output: Bytes = Field(default=16_384, ge=0, le=1024 * 1024)
    """How much of the end of its output is kept, in bytes."""


class ScriptTarget(Strict):
    """A program on this machine; argv, never a shell."""

    type: Literal["script"]
    """script: a program on this machine."""
    command: list[str] = Field(min_length=1, max_length=100)
    """Program and arguments; a relative path starts at the configuration file's folder."""
    stdin: Literal["data", "body", "event"] = "data"
    """What the program reads: the event's data, the message's bytes, or the event as an object."""
    env: dict[str, str] = Field(default_factory=dict)
    """Further environment variables."""
    cwd: str | None = None
    """Folder it runs in; default: the configuration file's."""
    timeout: Seconds = Field(default=15.0, gt=0, le=86_400)
    """Bound on one run; then the program and its children are ended."""
    user: str | None = None
    """User it runs as; default: the bridge's own."""
    limits: Limits = Limits()
    """What it may use."""
    exit_codes: dict[int, Literal["success", "retry", "fail"]] = Field(default_factory=dict)
    """What an exit code means; default: 0 success, 64, 65, 77 and 78 fail, any other retry."""


class QueueTarget(Strict):
    """Another queue or exchange, on this broker or on another one by name."""

    type: Literal["queue"]
    """queue: another queue or exchange."""
    queue: str | None = Field(default=None, min_length=1, max_length=255)
    """Name of the queue."""
    exchange: str | None = Field(default=None, max_length=255)
    """Name of the exchange, in place of `queue`."""
    routing_key: str | None = Field(default=None, max_length=255)
    """Routing key on `exchange`."""
    declare: bool = False
    """Declare the queue (durable, no arguments) where it does not exist."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Further headers of the message."""
    broker: str | None = None
    """Name of another broker under `brokers`; default: the bridge's own."""
    timeout: Seconds = Field(default=15.0, gt=0, le=600)
    """Bound on one attempt, confirm included."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "QueueTarget":
        if (self.queue is None) == (self.exchange is None):
            raise ValueError("give either `queue`, or `exchange` and `routing_key`")
        if self.queue is not None and self.routing_key is not None:
            raise ValueError("`routing_key` goes with `exchange`, not with `queue`")
        return self


Target = Annotated[WebhookTarget | ScriptTarget | QueueTarget, Field(discriminator="type")]


class Hook(Strict):
    """Which events (patterns, filter) go to which target, and how (retry, concurrency, rate)."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    """Its name and id, unique; names its lane too."""
    sources: list[str] | None = None
    """Names of the sources it listens to; default: every source."""
    events: list[str] = Field(default_factory=lambda: ["*"], min_length=1, max_length=1000)
    """AMQP topic patterns on the event type; `*` alone means all."""
    filter: str | None = Field(default=None, max_length=16_384)
    """A CEL expression over `event` that must be true."""
    enabled: bool = True
    """false: matching events are recorded SKIPPED."""
    paused: bool = False
    """true: matching events wait in the lane."""
    concurrency: int = Field(default=16, ge=1, le=1000)
    """Attempts at once, per process."""
    rate: PerSecond | None = Field(default=None, gt=0)
    """Attempts per second, per process."""
    retry: Retry = Retry()
    """When failed attempts are tried again."""
    target: Target
    """Where its deliveries go."""

    @property
    def id(self) -> str:
        """The id that names the lane and stands in labels; a hook from the file has its name."""
        return self.name
