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
    username: str = ""
    password: SecretStr = SecretStr("")
    token: SecretStr = SecretStr("")


class Tls(Strict):
    """How the receiver's certificate is checked and which one is shown to it."""

    verify: bool = True
    ca_bundle: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


class WebhookTarget(Strict):
    """An HTTP endpoint."""

    type: Literal["webhook"]
    url: str = Field(min_length=1, max_length=2048)
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    """Sent with every request; they cannot replace the ones that carry the signature."""
    auth: Auth | None = None
    profile: Literal["standard", "splynx", "github", "none"] = "standard"
    """Body shape and signature headers."""
    secrets: list[SecretStr] = Field(default_factory=list, max_length=10)
    """Live secrets; all of them sign where the scheme allows it, the first otherwise."""
    body: Literal["raw", "event", "data"] = "raw"
    timeout: Seconds = Field(default=15.0, gt=0, le=600)
    """Seconds for the whole attempt: connect, send, and read the answer."""
    connect_timeout: Seconds = Field(default=5.0, gt=0, le=600)
    tls: Tls = Tls()
    success: list[int] | None = None
    """Status codes that deliver; default: 200 to 299."""
    final: list[int] = Field(default_factory=list)
    """Status codes that fail for good, without another attempt."""
    proxy: str | None = None


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
    command: list[str] = Field(min_length=1, max_length=100)
    stdin: Literal["data", "body", "event"] = "data"
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    timeout: Seconds = Field(default=15.0, gt=0, le=86_400)
    user: str | None = None
    limits: Limits = Limits()
    exit_codes: dict[int, Literal["success", "retry", "fail"]] = Field(default_factory=dict)
    """What an exit code means; default: 0 success, 64, 65, 77 and 78 fail, any other retry."""


class QueueTarget(Strict):
    """Another queue or exchange, on this broker or on another one by name."""

    type: Literal["queue"]
    queue: str | None = Field(default=None, min_length=1, max_length=255)
    exchange: str | None = Field(default=None, max_length=255)
    routing_key: str | None = Field(default=None, max_length=255)
    declare: bool = False
    """Declare the queue (durable, no arguments) where it does not exist."""
    headers: dict[str, str] = Field(default_factory=dict)
    broker: str | None = None
    timeout: Seconds = Field(default=15.0, gt=0, le=600)

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
    target: Target

    @property
    def id(self) -> str:
        """The id that names the lane and stands in labels; a hook from the file has its name."""
        return self.name
