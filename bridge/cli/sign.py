"""`amqp-bridge sign`."""

from typing import Annotated

from typer import Option

from bridge.cli import scheme
from bridge.cli.scheme import Options, Scheme, Secrets

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

Profile = Annotated[str, Option("--profile", "-p", metavar="PROFILE", help="How to sign; see below.")]
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
    profile: Profile = "standard",
    secret: scheme.Secret = None,
    secret_file: scheme.SecretFile = None,
    secret_env: scheme.SecretEnv = None,
    timestamp: Timestamp = None,
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
    """Print the headers that sign a webhook's body.

    Each is a line `Header: value`. The body is signed exactly as it is. All secrets sign where the scheme allows it, else the first: those of
    --secret come first, then files, then variables. The event's type is what the body says, unless --event does;
    where neither knows, its header is left out.
    """
    from bridge.cli.signing import print_headers

    named = (signature_header, timestamp_header, id_header, event_header)
    options = Options(*named, algorithm, encoding, prefix, template)
    secrets = Secrets(secret, secret_file, secret_env)
    asked = Scheme(profile, secrets, options, timestamp, id_, event, method, path)
    print_headers(file, asked, as_json=as_json)
