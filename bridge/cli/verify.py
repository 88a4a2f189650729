"""`amqp-bridge verify`."""

import time
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args

import typer
from pydantic import ValidationError
from typer import Option

from bridge.cli.sign import chosen, one_of, point_in_time, unusable
from bridge.core.inlet import Verifier, VerifierType
from bridge.signing.profiles import verifier
from bridge.signing.shapes import SignedRequest, Verify
from bridge.terminal import scheme
from bridge.terminal.output import FAILED, STDIN, content, print_json, usage
from bridge.terminal.scheme import Options, Scheme, Secrets, all_secrets

EXAMPLES = """\b
Profiles: standard splynx phlix plinqx tiki cockpit github gitlab stripe generic, and what inlets have
besides: base64, hex, prefixed-hex (an HMAC of the body), token (the secret itself), basic (the secret
is user:password), timestamped (t=...,v1=...). All of these but basic need --signature-header.

\b
Examples:
  amqp-bridge verify --profile phlix --secret-env PHLIX_SECRET -H 'X-Phlix-Signature: sha256=...' body.json
  amqp-bridge sign --secret whsec_... body.json > headers; amqp-bridge verify --secret whsec_... --headers headers body.json
  amqp-bridge verify --profile hex --signature-header X-Sig --secret s --headers headers --timestamp 1748802600 body

Exit codes: 0 verified, 1 refused, with the reason on standard error, 2 wrong usage."""

Profile = Annotated[str, Option("--profile", "-p", metavar="PROFILE", help="What to verify; see below.")]
Header = Annotated[
    list[str] | None,
    Option("--header", "-H", metavar="'NAME: VALUE'", help="A header of the request; may be repeated."),
]
Headers = Annotated[
    str | None,
    Option(
        "--headers",
        metavar="FILE",
        help="Headers, one `Name: value` a line, as sign prints them; - is standard input.",
    ),
]
Timestamp = Annotated[
    str | None,
    Option("--timestamp", metavar="T", help="What time it is: Unix seconds or RFC 3339. Default: the clock."),
]
Tolerance = Annotated[
    str | None,
    Option("--tolerance", metavar="DURATION", help="How far a timestamp may lie from that. Default: 5m."),
]
Id = Annotated[str | None, Option("--id", metavar="ID", help="generic: the id, where no header holds it.")]
AsJson = Annotated[bool, Option("--json", help="Print {verified, reason} as JSON.")]


def verify(
    file: scheme.File,
    *,
    profile: Profile = "standard",
    secret: scheme.Secret = None,
    secret_file: scheme.SecretFile = None,
    secret_env: scheme.SecretEnv = None,
    header: Header = None,
    headers: Headers = None,
    timestamp: Timestamp = None,
    tolerance: Tolerance = None,
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
    """Tell whether the headers of a webhook fit its body.

    They do where only a holder of the secret can have made them. The body is taken exactly as it is, and any of the secrets is enough.
    """
    named = (signature_header, timestamp_header, id_header, event_header)
    options = Options(*named, algorithm, encoding, prefix, template)
    secrets = Secrets(secret, secret_file, secret_env)
    asked = Scheme(profile, secrets, options, timestamp, id_, event, method, path)
    _tell(*verdict(file, asked, header or [], headers, tolerance), as_json=as_json)


def _tell(reason: str | None, by: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"verified": reason is None, "reason": reason})
    elif reason is None:
        typer.echo(f"verified{by}")
    else:
        typer.echo(f"refused: {reason}", err=True)
    if reason is not None:
        raise typer.Exit(FAILED)


# What `amqp-bridge verify` does.


_HOLES = ("timestamp", "id", "event")


def verdict(
    file: str, scheme: Scheme, headers: list[str], headers_file: str | None, tolerance: str | None
) -> tuple[str | None, str]:
    """Why the request is refused, None if it is not, and ` by secret 2` where there are several.

    Raises SettingsError for options that cannot work.
    """
    if file == headers_file == STDIN:
        raise usage("--headers", "body and headers cannot both be standard input")
    one_of(scheme.profile, get_args(VerifierType))
    secrets = all_secrets(scheme.secrets)
    settings = _settings(scheme, tolerance)
    check = _verifier(settings, secrets)
    now = time.time() if scheme.timestamp is None else point_in_time(scheme.timestamp)
    request = SignedRequest(
        content(file), _headers(scheme, headers, headers_file), scheme.method, scheme.path
    )
    if refused := check(request, now):
        return refused.reason, ""
    return None, _by(settings, secrets, request, now)


def _by(settings: dict[str, Any], secrets: list[str], request: SignedRequest, now: float) -> str:
    if len(secrets) > 1:
        for number, secret in enumerate(secrets, 1):
            if _verifier(settings, [secret])(request, now) is None:
                return f" by secret {number}"
    return ""


def _settings(scheme: Scheme, tolerance: str | None) -> dict[str, Any]:
    settings = chosen(scheme.options) | {"type": scheme.profile}
    if tolerance is not None:
        settings["tolerance"] = tolerance
    if scheme.profile == "generic":
        settings |= {f"{hole}_header": f"--{hole}" for hole in _unheard(scheme.options)}
    return settings


def _unheard(options: Options) -> Iterator[str]:
    """Holes of the template that no header of the request fills: options of the same name stand in for it."""
    for hole in _HOLES:
        in_prefix = hole == "timestamp" and "{timestamp}" in (options.prefix or "")
        if (
            f"{{{hole}}}" in (options.template or "")
            and not in_prefix
            and not getattr(options, f"{hole}_header")
        ):
            yield hole


def _verifier(settings: dict[str, Any], secrets: list[str]) -> Verify:
    try:
        return verifier(Verifier(**settings, secrets=secrets))
    except ValidationError as error:
        raise unusable(error) from None
    except ValueError as error:
        raise usage("", str(error)) from None


def _headers(scheme: Scheme, given: list[str], file: str | None) -> dict[str, str]:
    """The request's headers by their names in lower case; the same one twice is joined as HTTP has it."""
    headers: dict[str, str] = {}
    for name, value in [*_parsed(given, "--header"), *_read(file)]:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    options = {"--timestamp": scheme.timestamp, "--id": scheme.id, "--event": scheme.event}
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
