"""`amqp-bridge sign` and `verify`."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, get_args

import typer
import uuid_utils
from pydantic import ValidationError
from typer import Argument

from bridge.core.errors import Problem, SettingsError
from bridge.core.event import FormatName, Message, Source
from bridge.core.inlet import Verifier, VerifierType
from bridge.core.target import Profile, Signature
from bridge.formats.decoder import Decoder
from bridge.settings.shape import nearest
from bridge.signing.profiles import signer, verifier
from bridge.signing.shapes import SignedRequest, Signer, Verify, moment
from bridge.terminal.groups import Commands, flag, option
from bridge.terminal.options import STDIN, all_secrets, content, event_types
from bridge.terminal.output import FAILED, print_json, usage
from bridge.wire.headers import header_text

SIGN = """\b
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
VERIFY = """\b
Profiles: standard splynx phlix plinqx tiki cockpit github gitlab stripe generic, and what inlets have
besides: base64, hex, prefixed-hex (an HMAC of the body), token (the secret itself), basic (the secret
is user:password), timestamped (t=...,v1=...). All of these but basic need --signature-header.

\b
Examples:
  amqp-bridge verify --profile phlix --secret-env PHLIX_SECRET -H 'X-Phlix-Signature: sha256=...' body.json
  amqp-bridge sign --secret whsec_... body.json > headers; amqp-bridge verify --secret whsec_... --headers headers body.json
  amqp-bridge verify --profile hex --signature-header X-Sig --secret s --headers headers --timestamp 1748802600 body

Exit codes: 0 verified, 1 refused, with the reason on standard error, 2 wrong usage."""

app = Commands()
File = Annotated[str, Argument(metavar="FILE", help="The body, byte for byte; - is standard input.")]
SECRETS = (
    option(
        "--secret",
        "TEXT",
        "A live secret; repeat for more. Others can see it in process lists.",
        list[str],
    ),
    option(
        "--secret-file", "FILE", "A secret from a file, without its last line end; repeatable.", list[Path]
    ),
    option("--secret-env", "NAME", "A secret from an environment variable; repeatable.", list[str]),
)
SCHEME = (
    option("--event", "TYPE", "The event's type.", autocompletion=event_types),
    option("--signature-header", "NAME", "The signature's header, where the scheme leaves it open.", name="header"),
    option("--timestamp-header", "NAME", "generic: header of the timestamp."),
    option("--id-header", "NAME", "generic: header of the id."),
    option("--event-header", "NAME", "generic: header of the event's type."),
    option("--algorithm", "HASH", "Hash of the HMAC, by its name in Python or PHP (sha512/256)."),
    option("--encoding", None, "generic, tiki: how a signature is written.", Literal["hex", "base64"]),
    option("--prefix", "TEXT", "Text before the signature; with generic it may contain {timestamp}."),
    option("--template", "TEXT", "generic: what is signed, with {body} {timestamp} {id} {event} {method} {path}; default: {body}."),
    option("--method", "METHOD", "generic: the HTTP method.", default="POST"),
    option("--path", "PATH", "generic: the URL's path, without the query.", default="/"),
)  # fmt: skip
"""The options of a scheme; None: the scheme's default. Named as in the settings."""

Given = SimpleNamespace
"""The values of the options."""


@app.local(
    epilog=SIGN,
    own=(
        option("--profile -p", "PROFILE", "How to sign; see below.", default="standard"),
        *SECRETS,
        option("--timestamp", "T", "Unix seconds or RFC 3339; plinqx, generic: any text. Default: now."),
        option("--id", "ID", "The webhook's id. Default: a new one, where one is sent."),
        *SCHEME,
        flag("--json", "Print an object of the headers.", name="as_json"),
    ),
)
def sign(file: File, **options: Any) -> None:
    """Print the headers that sign a webhook's body.

    Each is a line `Header: value`. The body is signed exactly as it is. All secrets sign where the scheme allows it, else the first: those of
    --secret come first, then files, then variables. The event's type is what the body says, unless --event does;
    where neither knows, its header is left out.
    """
    given = Given(**options)
    _must_be_one_of(given.profile, get_args(Profile))
    secrets = all_secrets(given.secret, given.secret_file, given.secret_env)
    try:
        made = _signer(given, secrets)
    except ValueError as error:
        raise usage("", str(error)) from None
    body = content(file)
    headers = dict(made.headers(body, _id(given), _stamp(made, given), _event(given, body)))
    if not secrets and given.profile != "none":
        typer.echo("note: without a secret there is no signature", err=True)
    if given.as_json:
        print_json(headers)
    else:
        for name, value in headers.items():
            typer.echo(f"{name}: {value}")


@app.local(
    epilog=VERIFY,
    own=(
        option("--profile -p", "PROFILE", "What to verify; see below.", default="standard"),
        *SECRETS,
        option(
            "--header -H",
            "'NAME: VALUE'",
            "A header of the request; may be repeated.",
            list[str],
            name="header_",
        ),
        option(
            "--headers",
            "FILE",
            "Headers, one `Name: value` a line, as sign prints them; - is standard input.",
        ),
        option("--timestamp", "T", "What time it is: Unix seconds or RFC 3339. Default: the clock."),
        option("--tolerance", "DURATION", "How far a timestamp may lie from that. Default: 5m."),
        option("--id", "ID", "generic: the id, where no header holds it."),
        *SCHEME,
        flag("--json", "Print {verified, reason} as JSON.", name="as_json"),
    ),
)
def verify(file: File, **options: Any) -> None:
    """Verify the signature of a webhook.

    The headers verify if only a holder of the secret can have made them. The body is taken exactly as it is, and any of the
    secrets is enough.
    """
    given = Given(**options)
    reason, by = _verdict(file, given)
    if given.as_json:
        print_json({"verified": reason is None, "reason": reason})
    elif reason is None:
        typer.echo(f"verified{by}")
    else:
        typer.echo(f"refused: {reason}", err=True)
    if reason is not None:
        raise typer.Exit(FAILED)


# What both need.


def _must_be_one_of(profile: str, known: tuple[str, ...]) -> None:
    if profile not in known:
        raise usage("--profile", f"no profile {profile!r}{nearest(profile, list(known))}")


def _chosen(given: Given) -> dict[str, Any]:
    return {name: told for name in Signature.model_fields if (told := getattr(given, name)) is not None}


def _point_in_time(text: str) -> float:
    """Returns the Unix seconds of `--timestamp`. Raises SettingsError."""
    at = moment(text)
    if at is None or at < 0:
        raise usage("--timestamp", f"{text!r} is neither Unix seconds nor of the form 2025-05-05T07:08:09Z")
    return at


def _unusable(error: ValidationError) -> SettingsError:
    """Returns the error for options that form an invalid model, without their values."""
    found = error.errors(include_url=False, include_input=False)
    return SettingsError([Problem(_option(fault["loc"]), _text(fault["msg"])) for fault in found])


def _option(place: tuple[int | str, ...]) -> str:
    name = str(place[0]) if place else ""
    renamed = {"header": "signature-header", "type": "profile", "secrets": "secret"}
    return f"--{renamed.get(name, name.replace('_', '-'))}" if name else ""


def _text(message: str) -> str:
    """Returns the text of the model's error, with its settings named as options."""
    text = message.removeprefix("Value error, ")
    return text.replace("`header`", "--signature-header").replace("`secret`", "--secret")


# Signing.


_NEEDS_ID = frozenset({"standard", "github", "generic"})
_NEEDS_EVENT = frozenset({"plinqx", "github", "generic"})
_ANY_TIMESTAMP = frozenset({"plinqx", "generic"})
_UNKNOWN = "unknown"
"""The type that a decoder returns for a body without one."""


def _signer(given: Given, secrets: list[str]) -> Signer:
    try:
        options = Signature(**_chosen(given))
    except ValidationError as error:
        raise _unusable(error) from None
    return signer(given.profile, secrets, options, method=given.method, path=given.path)


def _stamp(made: Signer, given: Given) -> str:
    """Returns the timestamp to be signed: as given if a scheme allows any text, else Unix seconds."""
    text = given.timestamp
    if text is None:
        return made.stamp(time.time())
    if given.profile in _ANY_TIMESTAMP:
        if not text or header_text(text) != text:
            raise usage("--timestamp", f"{text!r} cannot stand in a header")
        return str(text)
    return text if text.isascii() and text.isdigit() else str(int(_point_in_time(text)))


def _id(given: Given) -> str:
    told, profile = given.id, given.profile
    if told is None:
        fresh = str(uuid_utils.uuid7())
        return (fresh if profile == "github" else f"msg_{fresh}") if profile in _NEEDS_ID else ""
    if not told or header_text(told) != told or (profile == "standard" and "." in told):
        raise usage("--id", f"{told!r} cannot be signed: visible ASCII, and in standard no full stop")
    return str(told)


def _event(given: Given, body: bytes) -> str:
    if given.event is not None or given.profile not in _NEEDS_EVENT:
        return given.event or ""
    # Plinqx itself sends the header with the value of `event`, whatever other keys the body has
    own: tuple[FormatName, ...] = ("plinqx",) if given.profile == "plinqx" else ()
    return next(filter(None, (_type_in(body, form) for form in (*own, "auto"))), "")


def _type_in(body: bytes, form: FormatName) -> str | None:
    decoder = Decoder(Source(name="body", queue="body", format=form))
    event = decoder.decode(Message(body), new_id=lambda: "", received_at=0.0).event
    return event.type if event is not None and event.type != _UNKNOWN else None


# Verifying.


def _verdict(file: str, given: Given) -> tuple[str | None, str]:
    """Returns why the request is refused, None if it verifies; and ` by secret 2` if there are several secrets.

    Raises SettingsError for options that are invalid.
    """
    if file == given.headers == STDIN:
        raise usage("--headers", "body and headers cannot both be standard input")
    _must_be_one_of(given.profile, get_args(VerifierType))
    secrets = all_secrets(given.secret, given.secret_file, given.secret_env)
    settings = _settings(given)
    check = _verifier(settings, secrets)
    now = time.time() if given.timestamp is None else _point_in_time(given.timestamp)
    request = SignedRequest(content(file), _headers(given), given.method, given.path)
    if refused := check(request, now):
        return refused.reason, ""
    return None, _by(settings, secrets, request, now)


def _by(settings: dict[str, Any], secrets: list[str], request: SignedRequest, now: float) -> str:
    if len(secrets) > 1:
        for number, secret in enumerate(secrets, 1):
            if _verifier(settings, [secret])(request, now) is None:
                return f" by secret {number}"
    return ""


def _settings(given: Given) -> dict[str, Any]:
    settings = _chosen(given) | {"type": given.profile}
    if given.tolerance is not None:
        settings["tolerance"] = given.tolerance
    if given.profile == "generic":
        settings |= {f"{name}_header": f"--{name}" for name in _unresolved(given)}
    return settings


def _unresolved(given: Given) -> Iterator[str]:
    """Yields the template's placeholders that no header of the request fills: options of the same name replace them."""
    for name in ("timestamp", "id", "event"):
        in_prefix = name == "timestamp" and "{timestamp}" in (given.prefix or "")
        if f"{{{name}}}" in (given.template or "") and not in_prefix and not getattr(given, f"{name}_header"):
            yield name


def _verifier(settings: dict[str, Any], secrets: list[str]) -> Verify:
    try:
        return verifier(Verifier(**settings, secrets=secrets))
    except ValidationError as error:
        raise _unusable(error) from None
    except ValueError as error:
        raise usage("", str(error)) from None


def _headers(given: Given) -> dict[str, str]:
    """Returns the request's headers by their lower-case names; repeated ones are joined as in HTTP."""
    headers: dict[str, str] = {}
    for name, value in [*_parsed(given.header_ or [], "--header"), *_read(given.headers)]:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    options = {"--timestamp": given.timestamp, "--id": given.id, "--event": given.event}
    return headers | {name: value for name, value in options.items() if value is not None}


def _read(file: str | None) -> Iterator[tuple[str, str]]:
    if file is None:
        return iter(())
    text = content(file).decode("utf-8", "surrogateescape")
    return _parsed([line for line in text.split("\n") if line.strip()], f"--headers {file}")


def _parsed(lines: Iterable[str], where: str) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise usage(where, f"{line!r} is not of the form `Name: value`")
        yield name.strip().lower(), value.strip()
