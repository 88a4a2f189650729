"""Targets as users configure them: where and how a hook delivers."""

from ipaddress import ip_network
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema, model_validator

from bridge.core.base import Bytes, Seconds, StrictModel

Profile = Literal[
    "standard", "splynx", "phlix", "plinqx", "tiki", "cockpit", "github", "stripe", "generic", "none"
]

TargetType = Literal["webhook", "script", "queue", "notify"]
TARGET_TYPES: tuple[TargetType, ...] = get_args(TargetType)

StatusCode = Annotated[int, Field(ge=100, le=599)]


def _by_name(value: Any) -> Any:
    """Returns Cockpit's list of `{k, v}` as a mapping; pairs without name or value are ignored, as there."""
    if not isinstance(value, list):
        return value
    pairs = [
        (each.get("k"), each.get("v")) for each in value if isinstance(each, dict) and set(each) <= {"k", "v"}
    ]
    if len(pairs) < len(value):
        raise ValueError("a list of headers has objects with `k` and `v` and nothing else")
    return {name: text for name, text in pairs if name and text}


RequestHeaders = Annotated[
    dict[str, str], BeforeValidator(_by_name, json_schema_input_type=dict[str, str] | list[dict[str, str]])
]


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip()))
    except ValueError as error:
        raise ValueError(f"{text!r} is no network: {error}; write for example 10.0.0.0/8") from None


NetworkText = Annotated[
    str, AfterValidator(_network), WithJsonSchema({"type": "string", "format": "ipvanynetwork"})
]


class Signature(StrictModel):
    """Options of the signature that a profile leaves open (generic, tiki, stripe; standard: only `event_header`)."""

    header: str | None = Field(default=None, min_length=1, max_length=100)
    """Header of the signature, for generic, tiki and stripe; default: the profile's (generic: X-Signature, tiki:
    Webhook-Signature, stripe: Stripe-Signature)."""
    template: str = Field(default="{body}", min_length=1, max_length=1000)
    """The text that generic signs, with {body}, {timestamp}, {id}, {event}, {method} and {path}."""
    algorithm: str = Field(default="sha256", min_length=1, max_length=30)
    """Hash of the HMAC, by its name in Python or PHP; for generic and tiki."""
    encoding: Literal["hex", "base64"] | None = None
    """Encoding of the signature; default: hex for generic, base64 for tiki."""
    prefix: str = Field(default="", max_length=100)
    """Prefix of generic's signature, such as `sha256=`; may contain {timestamp}."""
    timestamp_header: str | None = Field(default=None, min_length=1, max_length=100)
    """Header in which generic sends the timestamp, in Unix seconds; default: none."""
    id_header: str | None = Field(default=None, min_length=1, max_length=100)
    """Header in which generic sends the id; default: none."""
    event_header: str | None = Field(default=None, min_length=1, max_length=100)
    """Header in which generic and standard send the event's type; default: none."""


class Auth(StrictModel):
    """HTTP authentication at the receiver."""

    type: Literal["basic", "bearer", "oauth2"]
    """basic: user name and password; bearer: a token; oauth2: a token obtained with client credentials, cached
    until shortly before it expires and renewed when the receiver answers 401."""
    username: str = ""
    """User name for basic."""
    password: SecretStr = SecretStr("")
    """Password for basic."""
    token: SecretStr = SecretStr("")
    """Token for bearer."""
    token_url: str = Field(default="", max_length=2048)
    """Token endpoint of oauth2, http:// or https://; requested with the hook's `tls` and `proxy`, within its
    `timeout`."""
    client_id: str = ""
    """Client id for oauth2."""
    client_secret: SecretStr = SecretStr("")
    """Client secret for oauth2."""
    scope: str = ""
    """Scopes for oauth2, separated by spaces; default: the server's default."""
    audience: str = ""
    """Audience for oauth2, if the server requires one."""
    client_auth: Literal["basic", "body"] = "basic"
    """How oauth2 sends client id and secret: in the header `Authorization`, or in the form."""


class Tls(StrictModel):
    """Verification of the receiver's certificate, and the client certificate.

    Files that are replaced while the bridge runs are reloaded for the next connection; authorities that a new
    `ca_bundle` no longer contains stay trusted until the next start.
    """

    verify: bool = True
    """false: certificates are not verified."""
    ca_bundle: str | None = None
    """File with the trusted certificates, PEM; default: the system's."""
    client_cert: str | None = None
    """File with the client certificate, PEM."""
    client_key: str | None = None
    """File with the private key of `client_cert`, PEM."""


class WebhookTarget(StrictModel):
    """An HTTP endpoint."""

    type: Literal["webhook"]
    """webhook: an HTTP endpoint."""
    url: str = Field(min_length=1, max_length=2048)
    """URL of the endpoint, http:// or https://."""
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    """HTTP method; DELETE sends the body, GET sends neither body nor Content-Type and signs an empty body."""
    headers: RequestHeaders = Field(default_factory=dict, max_length=50)
    """Headers of every request, by name, or as a list of `{k, v}`; they cannot replace the signature's."""
    auth: Auth | None = None
    """HTTP authentication; default: none."""
    profile: Profile = "standard"
    """Body shape and signature headers."""
    secrets: list[SecretStr] = Field(default_factory=list, max_length=10)
    """Active secrets; all of them sign if the scheme allows it, otherwise the first.

    Profile standard may have none: it then sends `webhook-id` and `webhook-timestamp` and no signature."""
    signature: Signature = Signature()
    """Signature options of the profiles generic, tiki and stripe."""
    body: (
        Literal["raw", "event", "data", "form", "standard", "cloudevents", "cloudevents-binary", "template"]
        | None
    ) = None
    """Form of the body; default: the profile's, which is `raw` for most. splynx, phlix, plinqx and cockpit wrap the
    data of events that did not arrive in their own format; splynx fills in an empty `type` of events that did.

    raw: the message's bytes; event: the event as an object; data: its data alone; form: its data in PHP's form
    encoding, with profile splynx the whole envelope; standard: type, timestamp and data, the payload of Standard
    Webhooks; cloudevents: a CloudEvent, structured; cloudevents-binary: a CloudEvent in headers and body; template: the
    result of `template`."""
    template: str | None = Field(default=None, max_length=65_536)
    """For `body: template`: text with {{ CEL }} placeholders, or a CEL expression whose value is sent as JSON.

    Placeholders insert text as it is, other values as JSON, null as nothing. Between the double quotes of a template
    that begins with { or [ values are escaped for JSON. A missing key fails the delivery permanently."""
    timeout: Seconds = Field(default=15.0, gt=0, le=600)
    """Timeout of the whole attempt in seconds: obtain a token, connect, send, and read the response."""
    connect_timeout: Seconds = Field(default=5.0, gt=0, le=600)
    """Timeout of connecting, TLS handshake included."""
    tls: Tls = Tls()
    """TLS to the receiver."""
    success: list[StatusCode] | None = None
    """Status codes that mean success; default: 200 to 299."""
    final: list[StatusCode] = Field(default_factory=list)
    """Status codes that fail permanently, without another attempt."""
    proxy: str | None = None
    """URL of an HTTP proxy; default: none."""
    allow_private_targets: list[NetworkText] = Field(default_factory=list, max_length=100)
    """Allowlist of networks (CIDR) that this hook may reach in addition to http.allow_private_targets (SSRF
    protection), its proxy and its token endpoint included. Through the API only networks within that setting."""

    @model_validator(mode="after")
    def _template_and_body(self) -> "WebhookTarget":
        if (self.body == "template") != (self.template is not None):
            raise ValueError("`body: template` and `template` go together")
        return self


class ScriptLimits(StrictModel):
    """Resource limits of a script."""

    memory: Bytes | None = Field(default=None, ge=1024 * 1024)
    """Address space of each process in bytes; default: 2 GiB of data, if the system allows the bridge to set it."""
    cpu: Seconds | None = Field(default=None, ge=1)
    """CPU time of each process in seconds."""
    processes: int | None = Field(default=None, ge=1, le=4_194_304)
    """Maximum number of processes and threads of the script's user when it starts another; root is exempt, so give
    the hook a `user` of its own."""
    output: Bytes = Field(default=16_384, ge=0, le=1024 * 1024)
    """Bytes of output that are kept, from its end."""


class ScriptTarget(StrictModel):
    """A program on this machine; argv, never a shell."""

    type: Literal["script"]
    """script: a program on this machine."""
    command: list[str] = Field(min_length=1, max_length=100)
    """Program and arguments; a relative path starts at the configuration file's folder."""
    stdin: Literal["data", "body", "event"] = "data"
    """The script's input: the event's data, the message's bytes, or the event as an object."""
    env: dict[str, str] = Field(default_factory=dict)
    """Additional environment variables."""
    cwd: str | None = None
    """Working directory; default: the configuration file's folder."""
    timeout: Seconds = Field(default=15.0, gt=0, le=86_400)
    """Timeout of one run; then the program and its children are killed."""
    linger: Seconds = Field(default=2.0, ge=0, le=3600)
    """Grace period for processes that the program leaves behind; then they are killed."""
    user: str | None = None
    """User of the process, with that user's groups and HOME; another user than the bridge's requires root."""
    umask: str | None = Field(default=None, pattern="^[0-7]{3,4}$")
    """File mode creation mask (umask): octal digits in quotes, such as "027"; default: the bridge's own."""
    limits: ScriptLimits = ScriptLimits()
    """Resource limits."""
    exit_codes: dict[int, Literal["success", "retry", "fail"]] = Field(default_factory=dict)
    """Meaning of exit codes; default: 0 success, 64, 65, 77 and 78 fail, any other retry."""


class QueueTarget(StrictModel):
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
    """Additional headers of the message."""
    keep: list[Literal["expiration", "message_id"]] = Field(default_factory=list, max_length=2)
    """Properties of the publisher to keep in addition to those always kept: its `expiration`, its `message_id`
    (default: the event's `webhook-id`)."""
    broker: str | None = None
    """Name of another broker under `brokers`; default: the bridge's own."""
    timeout: Seconds = Field(default=15.0, gt=0, le=600)
    """Timeout of one attempt, confirm included."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "QueueTarget":
        if (self.queue is None) == (self.exchange is None):
            raise ValueError("give either `queue`, or `exchange` and `routing_key`")
        if self.queue is not None and self.routing_key is not None:
            raise ValueError("`routing_key` goes with `exchange`, not with `queue`")
        return self


class NotifyTarget(StrictModel):
    """Chat, push and mail services, by Apprise URLs."""

    type: Literal["notify"]
    """notify: chat, push and mail services."""
    urls: list[SecretStr] = Field(min_length=1, max_length=20)
    """Apprise URLs, such as discord://id/token or mailto://user:password@example.net. Each is notified once."""
    title: str = Field(default="", max_length=16_384)
    """Title: plain text with {{ CEL }} placeholders; line breaks become spaces."""
    body: str = Field(default="{{ event.type }}", min_length=1, max_length=65_536)
    """Message: text with {{ CEL }} placeholders; a long one is split if a service has a length limit."""
    format: Literal["text", "markdown", "html"] = "text"
    """Markup of `body`; values of placeholders are escaped for it, and the result is converted to each service's
    markup."""
    level: Literal["info", "success", "warning", "failure"] = "info"
    """Severity, for services that have one."""
    endpoints: dict[str, str] = Field(default_factory=dict, max_length=20)
    """Base URLs by scheme (discord, ntfy, ntfys, pover, slack, tgram) that replace the services' own: for gateways."""
    timeout: Seconds = Field(default=15.0, gt=0, le=600)
    """Timeout of one attempt, all URLs together."""


Target = Annotated[WebhookTarget | ScriptTarget | QueueTarget | NotifyTarget, Field(discriminator="type")]
