"""`amqp-bridge verify`."""

from typing import Annotated

import typer
from typer import Option

from bridge.cli import scheme
from bridge.cli.failures import FAILED
from bridge.cli.output import print_json
from bridge.cli.scheme import Options, Scheme, Secrets

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
    event: scheme.Event = None,
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
    from bridge.cli.verifying import verdict

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
