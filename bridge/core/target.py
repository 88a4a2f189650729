"""Targets as people write them: where a hook delivers, and how."""

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
    """A list of `{k, v}`, as Cockpit has it, by name; pairs without a name or a value are passed over, as there."""
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
    """How to sign, where the profile leaves it open (generic, tiki, stripe; standard leaves `event_header`)."""

    header: str | None = Field(default=None, min_length=1, max_length=100)
    """Header of the signature, for generic, tiki and stripe; default: the profile's (generic: X-Signature, tiki:
    Webhook-Signature, stripe: Stripe-Signature)."""
    template: str = Field(default="{body}", min_length=1, max_length=1000)
    """What generic signs: text with {body}, {timestamp}, {id}, {event}, {method} and {path}."""
    algorithm: str = Field(default="sha256", min_length=1, max_length=30)
    """Hash of the HMAC, by its name in Python or PHP; for generic and tiki."""
    encoding: Literal["hex", "base64"] | None = None
    """How the signature is written; default: hex for generic, base64 for tiki."""
    prefix: str = Field(default="", max_length=100)
    """What stands before generic's signature, such as `sha256=`; may hold {timestamp}."""
    timestamp_header: str | None = Field(default=None, min_length=1, max_length=100)
    """Header in which generic sends the timestamp, in Unix seconds; default: none."""
    id_header: str | None = Field(default=None, min_length=1, max_length=100)
    """Header in which generic sends the id; default: none."""
    event_header: str | None = Field(default=None, min_length=1, max_length=100)
    """Header in which generic and standard send the event's type; default: none."""


class Auth(StrictModel):
    """HTTP authentication towards the receiver."""

    type: Literal["basic", "bearer", "oauth2"]
    """basic: user name and password; bearer: a token; oauth2: a token got with client credentials, kept until shortly
    before its end and got anew when the receiver answers 401."""
    username: str = ""
    """User name for basic."""
    password: SecretStr = SecretStr("")
    """Password for basic."""
    token: SecretStr = SecretStr("")
    """Token for bearer."""
    token_url: str = Field(default="", max_length=2048)
    """Where oauth2 gets its token, http:// or https://; asked over the hook's `tls` and `proxy`, within its `timeout`."""
    client_id: str = ""
    """Client id for oauth2."""
    client_secret: SecretStr = SecretStr("")
    """Client secret for oauth2."""
    scope: str = ""
    """Scopes for oauth2, separated by spaces; default: what the server grants by itself."""
    audience: str = ""
    """Audience for oauth2, where the server wants one."""
    client_auth: Literal["basic", "body"] = "basic"
    """Where oauth2 puts client id and secret: in the header `Authorization`, or in the form."""


class Tls(StrictModel):
    """How the receiver's certificate is checked and which one is shown to it.

    Files that are exchanged while the bridge runs are read anew for the next connection; authorities that a new
    `ca_bundle` leaves out are trusted until the next start.
    """

    verify: bool = True
    """false: any certificate is taken."""
    ca_bundle: str | None = None
    """File with the certificates to trust, PEM; default: what the system trusts."""
    client_cert: str | None = None
    """File with the certificate to show to the receiver, PEM."""
    client_key: str | None = None
    """File with the private key of `client_cert`, PEM."""


class WebhookTarget(StrictModel):
    """An HTTP endpoint."""

    type: Literal["webhook"]
    """webhook: an HTTP endpoint."""
    url: str = Field(min_length=1, max_length=2048)
    """Where requests go, http:// or https://."""
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    """HTTP method; DELETE sends the body, GET sends neither body nor Content-Type and signs an empty body."""
    headers: RequestHeaders = Field(default_factory=dict, max_length=50)
    """Sent with every request, by name, or as a list of `{k, v}`; they cannot replace the signature's."""
    auth: Auth | None = None
    """HTTP authentication; default: none."""
    profile: Profile = "standard"
    """Body shape and signature headers."""
    secrets: list[SecretStr] = Field(default_factory=list, max_length=10)
    """Live secrets; all of them sign where the scheme allows it, the first otherwise.

    Profile standard may go without: then it sends `webhook-id` and `webhook-timestamp` and no signature."""
    signature: Signature = Signature()
    """How the profiles generic, tiki and stripe sign, as far as they leave it open."""
    body: (
        Literal["raw", "event", "data", "form", "standard", "cloudevents", "cloudevents-binary", "template"]
        | None
    ) = None
    """What is sent; default: as the profile has it, which is `raw` for most. splynx, phlix, plinqx and cockpit
    wrap the data of what did not come in their own format; splynx names an empty `type` of what did.

    raw: the message's bytes; event: the event as an object; data: its data alone; form: its data as PHP encodes
    a form, with profile splynx the whole envelope; standard: type, timestamp and data, the payload of Standard Webhooks;
    cloudevents: a CloudEvent, structured; cloudevents-binary: a
    CloudEvent in headers and body; template: what `template` makes of it."""
    template: str | None = Field(default=None, max_length=65_536)
    """For `body: template`: text with {{ CEL }} holes, or a CEL expression whose value is sent as JSON.

    Holes bring text as it is, other values as JSON, null as nothing. Between the double quotes of a template that
    begins with { or [ they are escaped for JSON. A key that is missing fails the delivery for good."""
    timeout: Seconds = Field(default=15.0, gt=0, le=600)
    """Seconds for the whole attempt: get a token, connect, send, and read the answer."""
    connect_timeout: Seconds = Field(default=5.0, gt=0, le=600)
    """Bound on connecting, TLS handshake included."""
    tls: Tls = Tls()
    """TLS to the receiver."""
    success: list[StatusCode] | None = None
    """Status codes that deliver; default: 200 to 299."""
    final: list[StatusCode] = Field(default_factory=list)
    """Status codes that fail for good, without another attempt."""
    proxy: str | None = None
    """URL of an HTTP proxy; default: none."""
    allow_private_targets: list[NetworkText] = Field(default_factory=list, max_length=100)
    """Networks (CIDR) that this hook may reach besides those of http.allow_private_targets, its proxy and its token
    endpoint included. Through the API only ones that the setting covers."""

    @model_validator(mode="after")
    def _template_and_body(self) -> "WebhookTarget":
        if (self.body == "template") != (self.template is not None):
            raise ValueError("`body: template` and `template` go together")
        return self


class ScriptLimits(StrictModel):
    """What a script may use."""

    memory: Bytes | None = Field(default=None, ge=1024 * 1024)
    """Address space of each of its processes in bytes; default: 2 GiB of data, where the system lets the bridge set it."""
    cpu: Seconds | None = Field(default=None, ge=1)
    """CPU time of each of its processes in seconds."""
    processes: int | None = Field(default=None, ge=1, le=4_194_304)
    """Processes and threads that its user may have in all for it to start another; root is not held to it, so give
    the hook a `user` of its own."""
    output: Bytes = Field(default=16_384, ge=0, le=1024 * 1024)
    """How much of the end of its output is kept, in bytes."""


class ScriptTarget(StrictModel):
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
    linger: Seconds = Field(default=2.0, ge=0, le=3600)
    """How long processes that the program leaves behind may go on after its end; then they are ended, too."""
    user: str | None = None
    """User it runs as, with that user's groups and HOME; another than the bridge's own needs root."""
    umask: str | None = Field(default=None, pattern="^[0-7]{3,4}$")
    """Rights that files it makes do not get: octal digits in quotes, such as "027"; default: the bridge's own."""
    limits: ScriptLimits = ScriptLimits()
    """What it may use."""
    exit_codes: dict[int, Literal["success", "retry", "fail"]] = Field(default_factory=dict)
    """What an exit code means; default: 0 success, 64, 65, 77 and 78 fail, any other retry."""


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
    """Further headers of the message."""
    keep: list[Literal["expiration", "message_id"]] = Field(default_factory=list, max_length=2)
    """What of the publisher's is kept beside what always is: its `expiration`, its `message_id` (default: the event's `webhook-id`)."""
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


class NotifyTarget(StrictModel):
    """Chat, push and mail services, by Apprise URLs."""

    type: Literal["notify"]
    """notify: chat, push and mail services."""
    urls: list[SecretStr] = Field(min_length=1, max_length=20)
    """Where to: Apprise URLs, such as discord://id/token or mailto://user:password@example.net. Each is told once."""
    title: str = Field(default="", max_length=16_384)
    """Title: plain text with {{ CEL }} holes; line breaks become blanks."""
    body: str = Field(default="{{ event.type }}", min_length=1, max_length=65_536)
    """Message: text with {{ CEL }} holes; a long one arrives in several pieces where a service has a limit."""
    format: Literal["text", "markdown", "html"] = "text"
    """What `body` is written in; what holes bring is escaped for it, and the whole is put into each service's markup."""
    level: Literal["info", "success", "warning", "failure"] = "info"
    """How the services that know such a thing mark it."""
    endpoints: dict[str, str] = Field(default_factory=dict, max_length=20)
    """Base URLs by scheme (discord, ntfy, ntfys, pover, slack, tgram) in place of the services' own: for gateways."""
    timeout: Seconds = Field(default=15.0, gt=0, le=600)
    """Bound on one attempt, all URLs together."""


Target = Annotated[WebhookTarget | ScriptTarget | QueueTarget | NotifyTarget, Field(discriminator="type")]
