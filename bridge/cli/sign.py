"""`amqp-bridge sign`."""

import time
from dataclasses import asdict
from typing import Annotated, Any, get_args

import typer
import uuid_utils
from pydantic import ValidationError
from typer import Option

from bridge.core.errors import Problem, SettingsError
from bridge.core.event import Event, FormatName, Message, Source
from bridge.core.target import Profile, Signature
from bridge.formats.decoder import Decoder
from bridge.settings.shape import nearest
from bridge.signing.profiles import signer
from bridge.signing.shapes import Signer, moment
from bridge.terminal import scheme
from bridge.terminal.output import content, print_json, usage
from bridge.terminal.scheme import Options, Scheme, Secrets, all_secrets
from bridge.wire.headers import header_text

EXAMPLES = """\b
Profiles:
  standard   webhook-id, webhook-timestamp, webhook-signature (whsec_ and whsk_ secrets)
  splynx     X-Splynx-Signature
  phlix      X-Phlix-Signature, X-Phlix-Signature-V2
  plinqx     X-Plinqx-Signature, X-Plinqx-Timestamp, X-Plinqx-Event
  tiki       Webhook-Signature; --signature-header --algorithm --encoding
  cockpit    Authorization: Basic; the secret is user:password
  github     X-Hub-Signature-256, X-Hub-Signature, X-GitHub-Event, X-GitHub-Delivery
  stripe     Stripe-Signature; --signature-header
  generic    X-Signature; all options
  none       no header

\b
Examples:
  amqp-bridge sign --profile splynx --secret-env SPLYNX_SECRET body.json
  amqp-bridge sign --profile standard --secret whsec_... --id msg_1 --timestamp 1746428889 body.json
  amqp-bridge sign --profile tiki --secret-file key --algorithm sha512 --encoding hex - < body
  amqp-bridge sign --profile generic --secret s --signature-header X-Sig --template '{timestamp}.{body}' \\
    --prefix 't={timestamp},v1=' body.json

Exit codes: 0 done, 2 wrong usage, or secrets and options that do not fit the profile."""

ProfileOption = Annotated[str, Option("--profile", "-p", metavar="PROFILE", help="How to sign; see below.")]
Timestamp = Annotated[
    str | None,
    Option(
        "--timestamp", metavar="T", help="Unix seconds or RFC 3339; plinqx, generic: any text. Default: now."
    ),
]
Id = Annotated[
    str | None, Option("--id", metavar="ID", help="The webhook's id. Default: a new one, where one is sent.")
]
AsJson = Annotated[bool, Option("--json", help="Print an object of the headers.")]


def sign(
    file: scheme.File,
    *,
    profile: ProfileOption = "standard",
    secret: scheme.Secret = None,
    secret_file: scheme.SecretFile = None,
    secret_env: scheme.SecretEnv = None,
    timestamp: Timestamp = None,
    id_: Id = None,
    event: scheme.SampleEvent = None,
    signature_header: scheme.SignatureHeader = None,
    timestamp_header: scheme.TimestampHeader = None,
    id_header: scheme.IdHeader = None,
    event_header: scheme.EventHeader = None,
    algorithm: scheme.Algorithm = None,
    encoding: scheme.Encoding = None,
    prefix: scheme.Prefix = None,
    template: scheme.Template = None,
    method: scheme.Method = "POST",
    path: scheme.UrlPath = "/",
    as_json: AsJson = False,
) -> None:
    """Print the headers that sign a webhook's body.

    Each is a line `Header: value`. The body is signed exactly as it is. All secrets sign where the scheme allows it, else the first: those of
    --secret come first, then files, then variables. The event's type is what the body says, unless --event does;
    where neither knows, its header is left out.
    """
    named = (signature_header, timestamp_header, id_header, event_header)
    options = Options(*named, algorithm, encoding, prefix, template)
    secrets = Secrets(secret, secret_file, secret_env)
    asked = Scheme(profile, secrets, options, timestamp, id_, event, method, path)
    print_headers(file, asked, as_json=as_json)


# What `amqp-bridge sign` does, and what `verify` needs of it.


_NEEDS_ID = frozenset({"standard", "github", "generic"})
_NEEDS_EVENT = frozenset({"plinqx", "github", "generic"})
_ANY_TIMESTAMP = frozenset({"plinqx", "generic"})
_UNKNOWN = "unknown"
"""What a decoder calls the type of a body that tells none."""


def print_headers(file: str, scheme: Scheme, *, as_json: bool) -> None:
    """Print the headers of a body; raises SettingsError for options that cannot work."""
    one_of(scheme.profile, get_args(Profile))
    secrets = all_secrets(scheme.secrets)
    try:
        made = _signer(scheme, secrets)
    except ValueError as error:
        raise usage("", str(error)) from None
    body = content(file)
    stamp, webhook_id = _stamp(made, scheme), _id(scheme)
    headers = dict(made.headers(body, webhook_id, stamp, _event(scheme, body)))
    if not secrets and scheme.profile != "none":
        typer.echo("note: without a secret there is no signature", err=True)
    if as_json:
        print_json(headers)
    else:
        for name, value in headers.items():
            typer.echo(f"{name}: {value}")


def _signer(scheme: Scheme, secrets: list[str]) -> Signer:
    try:
        options = Signature(**chosen(scheme.options))
    except ValidationError as error:
        raise unusable(error) from None
    return signer(scheme.profile, secrets, options, method=scheme.method, path=scheme.path)


def _stamp(made: Signer, scheme: Scheme) -> str:
    """The timestamp as it is to be signed: as given where a scheme takes any text, else Unix seconds."""
    text = scheme.timestamp
    if text is None:
        return made.stamp(time.time())
    if scheme.profile in _ANY_TIMESTAMP:
        if not text or header_text(text) != text:
            raise usage("--timestamp", f"{text!r} cannot stand in a header")
        return text
    return text if text.isascii() and text.isdigit() else str(int(point_in_time(text)))


def _id(scheme: Scheme) -> str:
    if scheme.id is None:
        fresh = str(uuid_utils.uuid7())
        return (
            (fresh if scheme.profile == "github" else f"msg_{fresh}") if scheme.profile in _NEEDS_ID else ""
        )
    if (
        not scheme.id
        or header_text(scheme.id) != scheme.id
        or (scheme.profile == "standard" and "." in scheme.id)
    ):
        raise usage("--id", f"{scheme.id!r} cannot be signed: visible ASCII, and in standard no full stop")
    return scheme.id


def _event(scheme: Scheme, body: bytes) -> str:
    if scheme.event is not None or scheme.profile not in _NEEDS_EVENT:
        return scheme.event or ""
    # Plinqx itself takes the header from `event`, whatever else stands or does not stand beside it
    own: tuple[FormatName, ...] = ("plinqx",) if scheme.profile == "plinqx" else ()
    return next(filter(None, (_type_in(body, form) for form in (*own, "auto"))), "")


def _type_in(body: bytes, form: FormatName) -> str | None:
    decoder = Decoder(Source(name="body", queue="body", format=form))
    found = decoder.decode(Message(body), new_id=lambda: "", received_at=0.0)
    return found.type if isinstance(found, Event) and found.type != _UNKNOWN else None


def one_of(profile: str, known: tuple[str, ...]) -> None:
    """Raise SettingsError for a profile that is not known."""
    if profile not in known:
        raise usage("--profile", f"no profile {profile!r}{nearest(profile, list(known))}")


def chosen(options: Options) -> dict[str, Any]:
    """The options that were given, by their names in the settings."""
    return {name: value for name, value in asdict(options).items() if value is not None}


def point_in_time(text: str) -> float:
    """Unix seconds of `--timestamp`. Raises SettingsError."""
    at = moment(text)
    if at is None or at < 0:
        raise usage("--timestamp", f"{text!r} is neither Unix seconds nor of the form 2025-05-05T07:08:09Z")
    return at


def unusable(error: ValidationError) -> SettingsError:
    """What is wrong with options that make up a model, without their values."""
    found = error.errors(include_url=False, include_input=False)
    return SettingsError([Problem(_option(fault["loc"]), _text(fault["msg"])) for fault in found])


def _option(place: tuple[int | str, ...]) -> str:
    name = str(place[0]) if place else ""
    renamed = {"header": "signature-header", "type": "profile", "secrets": "secret"}
    return f"--{renamed.get(name, name.replace('_', '-'))}" if name else ""


def _text(message: str) -> str:
    """The words of the model, with its settings named as options."""
    text = message.removeprefix("Value error, ")
    return text.replace("`header`", "--signature-header").replace("`secret`", "--secret")
