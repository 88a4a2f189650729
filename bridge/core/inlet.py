"""The inlet as users configure it: an HTTP path that receives webhooks and publishes them to a source."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from bridge.core.base import Bytes, Seconds, StrictModel

VerifierType = Literal[
    "base64",
    "hex",
    "prefixed-hex",
    "token",
    "basic",
    "timestamped",
    "standard",
    "splynx",
    "phlix",
    "plinqx",
    "tiki",
    "cockpit",
    "github",
    "gitlab",
    "stripe",
    "generic",
]


_ALIASES: Mapping[str, str] = MappingProxyType({"base64-hmac": "base64", "hmac": "hex"})
"""Tiki's names of its two verification types."""

_WITHOUT_DEFAULT = frozenset({"base64", "hex", "prefixed-hex", "token", "timestamped"})
"""Types that belong to no system and therefore have no default header."""

_WITH_USER = frozenset({"basic", "cockpit"})
"""Types whose secret may be written `user:password`."""

_OPTIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "base64": frozenset({"algorithm"}),
        "hex": frozenset({"algorithm"}),
        "prefixed-hex": frozenset({"algorithm", "prefix"}),
        "token": frozenset({"prefix"}),
        "basic": frozenset({"username"}),
        "timestamped": frozenset({"algorithm"}),
        "splynx": frozenset({"algorithm"}),
        "plinqx": frozenset({"timestamp_header"}),
        "tiki": frozenset({"algorithm", "encoding"}),
        "cockpit": frozenset({"username"}),
        "generic": frozenset(
            {
                "algorithm",
                "encoding",
                "prefix",
                "template",
                "timestamp_header",
                "id_header",
                "event_header",
            }
        ),
    }
)
"""The options that each type accepts, in addition to header and secrets."""


def _spelled(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip().lower().replace(" ", "-").replace("_", "-")
    return _ALIASES.get(text, text)


class Verifier(StrictModel):
    """A method by which a sender is authenticated."""

    type: Annotated[VerifierType, BeforeValidator(_spelled)]
    """base64, hex, prefixed-hex: an HMAC of the body in `header`; token: `header` holds the secret itself; basic:
    HTTP basic authentication; timestamped: `t=...,v1=...` in `header`; standard: Standard Webhooks; a system's
    name: that system's signature; generic: a signature as the options define it."""
    header: str | None = Field(default=None, min_length=1, max_length=100)
    """Name of the header with the signature or token, case-insensitive; default: the type's header. Required for
    base64, hex, prefixed-hex, token and timestamped."""
    timestamp_header: str | None = Field(default=None, min_length=1, max_length=100)
    """For generic: header with the timestamp; default: none, and its age is not checked."""
    id_header: str | None = Field(default=None, min_length=1, max_length=100)
    """For generic: header with the id."""
    event_header: str | None = Field(default=None, min_length=1, max_length=100)
    """For generic: header with the event's type."""
    algorithm: str = Field(default="sha256", min_length=1, max_length=30)
    """Hash of the HMAC, by its name in Python or PHP; for base64, hex, prefixed-hex, timestamped, tiki and generic."""
    encoding: Literal["hex", "base64"] | None = None
    """For generic and tiki: encoding of the signature; default: hex for generic, base64 for tiki."""
    prefix: str = Field(default="", max_length=100)
    """For prefixed-hex, token and generic: prefix of the value in the header; default for prefixed-hex: `sha256=`,
    by the algorithm. generic's may contain {timestamp}."""
    template: str = Field(default="{body}", min_length=1, max_length=1000)
    """For generic: the text that is signed, with {body}, {timestamp}, {id}, {event}, {method} and {path}."""
    secret: SecretStr | None = None
    """The secret; the same as `secrets` with one entry."""
    secrets: list[SecretStr] = Field(default_factory=list, max_length=10)
    """Accepted secrets, such as an old and a new one during a rotation."""
    username: str | None = Field(default=None, min_length=1, max_length=255)
    """For basic and cockpit: the user name, with the secret as its password. Without it the secret may be written
    `user:password`, and may be the password of `user`."""
    user: str | None = Field(default=None, max_length=255)
    """Identity of the sender once this verifies; it is stored with the event."""
    tolerance: Seconds = Field(default=300, gt=0, le=86_400)
    """Maximum difference between a signed timestamp and the current time, in both directions."""
    allow_empty_secret: bool = False
    """true: an empty secret is allowed, which admits everybody who knows that it is empty."""

    @model_validator(mode="after")
    def _has_secrets(self) -> "Verifier":
        if self.secret is not None and self.secrets:
            raise ValueError("give either `secret` or `secrets`, not both")
        if not self.all_secrets:
            raise ValueError("a verifier needs a `secret`")
        if not all(map(self._secret_part, self.all_secrets)) and not self.allow_empty_secret:
            raise ValueError(
                "the secret is empty: everybody could sign with it (allow_empty_secret takes it)"
            )
        return self

    def _secret_part(self, text: str) -> str:
        """Returns the secret part of a secret: of `user:password` the password."""
        pair = self.type in _WITH_USER and self.username is None and ":" in text
        return text.partition(":")[2] if pair else text

    @model_validator(mode="after")
    def _fits_its_type(self) -> "Verifier":
        if self.header is None and self.type in _WITHOUT_DEFAULT:
            raise ValueError(f"type {self.type} needs a `header`")
        open_ = _OPTIONS.get(self.type, frozenset())
        for name in sorted(_OPTIONS["generic"] | {"username"}):
            if name not in open_ and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"type {self.type} takes no `{name}`")
        if (
            self.type == "splynx"
            and "algorithm" in self.model_fields_set
            and self.algorithm.lower() != "sha1"
        ):
            raise ValueError("type splynx signs with sha1")
        return self

    @property
    def all_secrets(self) -> tuple[str, ...]:
        """Returns the accepted secrets, from `secret` and `secrets`."""
        given = self.secrets if self.secret is None else [self.secret]
        return tuple(secret.get_secret_value() for secret in given)


class Handshake(StrictModel):
    """A handshake: a request by which a sender validates the endpoint, answered without creating an event."""

    type: Literal["cloudevents", "hub", "slack", "graph", "eventgrid", "query"]
    """cloudevents: OPTIONS with WebHook-Request-Origin, answered by every inlet; hub: GET with hub.challenge
    (WebSub, Meta); slack: url_verification, once a verifier accepts it; graph: validationToken in the query
    (Microsoft Graph, SharePoint); eventgrid: the validation event of Azure Event Grid; query: GET with a challenge
    under `name` in the query (Dropbox: challenge)."""
    origins: list[Annotated[str, Field(min_length=1, max_length=255)]] = Field(
        default_factory=list, max_length=100
    )
    """For cloudevents: allowlist of origins; default: all."""
    rate: int | None = Field(default=None, ge=1, le=1_000_000)
    """For cloudevents: the rate in requests per minute that the sender is granted; default: unlimited."""
    token: SecretStr | None = None
    """For hub: the verify token that is configured at Meta; default: the token is not checked."""
    topics: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(
        default_factory=list, max_length=100
    )
    """For hub: allowlist of topics; default: all."""
    name: str = Field(default="challenge", min_length=1, max_length=100)
    """For query: name of the parameter with the challenge."""

    @model_validator(mode="after")
    def _fits_its_type(self) -> "Handshake":
        open_ = _OF_HANDSHAKE.get(self.type, frozenset())
        for name in sorted(self.model_fields_set - open_ - {"type"}):
            raise ValueError(f"type {self.type} takes no `{name}`")
        if self.token is not None and not self.token.get_secret_value():
            raise ValueError("the token is empty: everybody knows it")
        return self


_OF_HANDSHAKE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "cloudevents": frozenset({"origins", "rate"}),
        "hub": frozenset({"token", "topics"}),
        "query": frozenset({"name"}),
    }
)
"""The options that each type of handshake accepts."""


INLET_NAME = r"^[a-z0-9_-]{1,64}$"
"""The pattern of an inlet's name."""
_FIELD_NAME = r"^[!#$%&'*+.^_~0-9A-Za-z-]+$"
"""The characters that HTTP allows in method and field names (RFC 9110, 5.6.2)."""


class Inlet(StrictModel):
    """An HTTP path whose verified requests are published as messages to a source."""

    name: str = Field(pattern=INLET_NAME)
    """Unique name of the inlet; it answers on /in/<name>, unless it is open and has a `path`."""
    path: str | None = Field(default=None, max_length=255, pattern=r"^/[!-~]*$")
    """An additional path, such as /tiki-webhooks.php; with /* at the end it includes all paths below."""
    source: str
    """Name of the source whose queue receives the messages."""
    event_type: str | None = Field(default=None, max_length=255)
    """Type of the events; default: the type that the source's format finds."""
    event_type_header: str | None = Field(default=None, max_length=100, pattern=_FIELD_NAME)
    """Header with the event type, such as X-GitHub-Event, used if `event_type` is not set."""
    event_type_path: bool = False
    """true: the inlet also answers below its paths, and the rest of the path is the event type, with slashes as
    dots."""
    event_type_prefix: str = Field(default="", max_length=100)
    """Prefix of a type from a header or path, such as `github.`."""
    verify: list[Verifier] = Field(default_factory=list, max_length=50)
    """Verifiers, tried in order; the first that verifies identifies the sender; if none does: 403."""
    open: bool = False
    """true: an inlet without verifiers accepts every request. With a `path` it answers on that path alone, so that
    the path can be the secret."""
    methods: list[Annotated[str, Field(max_length=30, pattern=_FIELD_NAME)]] = Field(
        default_factory=list, max_length=20
    )
    """Methods that create events; other methods get 405. Default: all but GET, HEAD, OPTIONS and other safe
    methods, which get 200 and create no event."""
    handshakes: list[Handshake] = Field(default_factory=list, max_length=10)
    """Handshakes that are answered and create no events; at most one of each type."""
    body: Bytes = Field(default=1_048_576, ge=0, le=134_217_728)
    """Maximum size of the body; a larger one, or one over `limits.body`, gets 413."""
    timeout: Seconds = Field(default=0.8, gt=0, le=60)
    """Maximum wait for the broker's confirm; then the sender gets 503."""
    success: int = Field(default=200, ge=200, le=299)
    """Status code of the response to an accepted request."""
    answer: str = Field(default="ok", max_length=1000)
    """Body of the response to an accepted request."""

    @model_validator(mode="after")
    def _guarded(self) -> "Inlet":
        if self.open == bool(self.verify):
            raise ValueError("give verifiers under `verify`, or `open: true` to let in everybody")
        return self

    @field_validator("handshakes")
    @classmethod
    def _each_once(cls, value: list[Handshake]) -> list[Handshake]:
        if len({each.type for each in value}) < len(value):
            raise ValueError("there is one handshake of each type")
        return value

    @field_validator("methods")
    @classmethod
    def _upper(cls, value: list[str]) -> list[str]:
        return [method.upper() for method in value]


# The routing of request paths to inlets.


RESERVED = ("/health", "/metrics", "/api", "/openapi.json", "/docs", "/ui", "/in")
"""The bridge's own paths, with all paths below."""
IN = "/in/"
"""The prefix of each inlet's default path."""

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical(path: str) -> str:
    """Returns the canonical form of a path as sent, without its query.

    Unreserved characters are unescaped, other escapes are in capitals (RFC 3986, 6.2.2); slashes, dots and letters are
    unchanged.
    """
    return _ESCAPE.sub(_normal, quote(path, safe="!#$%&'()*+,/:;=?@[]~|^`{}\"<>\\", errors="surrogateescape"))


def _normal(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def check_path(path: str) -> None:
    """Raises ValueError, with a text for the operator, for a path that an inlet cannot have."""
    if any(each in path for each in "?#"):
        raise ValueError("a path has no `?` and no `#`: queries are not looked at")
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise ValueError("in a path `%` is followed by two hex digits")
    base = path.removesuffix("/*")
    if "*" in base:
        raise ValueError("`*` stands only at the end of a path, as `/*`")
    base = canonical(base)
    if not base:
        raise ValueError("an inlet cannot have every path; write for example /hooks/*")
    for reserved in RESERVED:
        if base == reserved or base.startswith(f"{reserved}/"):
            raise ValueError(f"{reserved} is the bridge's own; choose another path")


class PathTable:
    """The routing table of paths: an exact match first, then the longest prefix."""

    def __init__(self, exact: Iterable[tuple[str, str]], below: Iterable[tuple[str, str]]) -> None:
        """Build the table from pairs of path and inlet; those of `below` match all paths under theirs."""
        self._exact = {canonical(path): name for path, name in exact}
        self._below = {canonical(path): name for path, name in below}

    def find(self, path: str) -> tuple[str, str] | None:
        """Returns the inlet and the rest of the path with its leading slash; None without a match."""
        path = canonical(path)
        if name := self._exact.get(path):
            return name, ""
        base = path
        while base:
            base = base.rpartition("/")[0]
            if name := self._below.get(base):
                return name, path[len(base) :]
        return None


def type_in_path(rest: str) -> str:
    """Returns the rest of an inlet's path as event type: `/content/item/save` is content.item.save."""
    return ".".join(unquote(part) for part in rest.split("/") if part)
