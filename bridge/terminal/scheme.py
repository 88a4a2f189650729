"""The options that `sign` and `verify` have in common."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Argument, Option

from bridge.terminal.output import event_types, usage

File = Annotated[str, Argument(metavar="FILE", help="The body, byte for byte; - is standard input.")]
Secret = Annotated[
    list[str] | None,
    Option(
        "--secret", metavar="TEXT", help="A live secret; repeat for more. Others can see it in process lists."
    ),
]
SecretFile = Annotated[
    list[Path] | None,
    Option(
        "--secret-file", metavar="FILE", help="A secret from a file, without its last line end; repeatable."
    ),
]
SecretEnv = Annotated[
    list[str] | None,
    Option("--secret-env", metavar="NAME", help="A secret from an environment variable; repeatable."),
]
SampleEvent = Annotated[
    str | None,
    Option("--event", metavar="TYPE", help="The event's type.", autocompletion=event_types),
]
SignatureHeader = Annotated[
    str | None,
    Option(
        "--signature-header", metavar="NAME", help="The signature's header, where the scheme leaves it open."
    ),
]
TimestampHeader = Annotated[
    str | None, Option("--timestamp-header", metavar="NAME", help="generic: header of the timestamp.")
]
IdHeader = Annotated[str | None, Option("--id-header", metavar="NAME", help="generic: header of the id.")]
EventHeader = Annotated[
    str | None, Option("--event-header", metavar="NAME", help="generic: header of the event's type.")
]
Algorithm = Annotated[
    str | None,
    Option(
        "--algorithm", metavar="HASH", help="Hash of the HMAC, by its name in Python or PHP (sha512/256)."
    ),
]
Encoding = Annotated[
    Literal["hex", "base64"] | None, Option("--encoding", help="generic, tiki: how a signature is written.")
]
Prefix = Annotated[
    str | None,
    Option(
        "--prefix", metavar="TEXT", help="What stands before the signature; may hold {timestamp} in generic."
    ),
]
Template = Annotated[
    str | None,
    Option(
        "--template",
        metavar="TEXT",
        help="generic: what is signed, with {body} {timestamp} {id} {event} {method} {path}; default: {body}.",
    ),
]
Method = Annotated[str, Option("--method", metavar="METHOD", help="generic: the HTTP method.")]
UrlPath = Annotated[str, Option("--path", metavar="PATH", help="generic: the URL's path, without the query.")]


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where the secrets are to be had; in this order, and the first one signs where only one does."""

    given: list[str] | None = None
    files: list[Path] | None = None
    variables: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What was chosen of a scheme; None: what the scheme has by itself. Named as in the settings."""

    header: str | None = None
    timestamp_header: str | None = None
    id_header: str | None = None
    event_header: str | None = None
    algorithm: str | None = None
    encoding: Literal["hex", "base64"] | None = None
    prefix: str | None = None
    template: str | None = None


@dataclass(frozen=True, slots=True)
class Scheme:
    """A profile or type with all that was said about it."""

    profile: str
    secrets: Secrets
    options: Options
    timestamp: str | None = None
    id: str | None = None
    event: str | None = None
    method: str = "POST"
    path: str = "/"


def all_secrets(secrets: Secrets) -> list[str]:
    """Every secret. Raises SettingsError for a file that cannot be read and a variable that is not set."""
    found = [
        *(secrets.given or []),
        *_from_files(secrets.files or []),
        *_from_variables(secrets.variables or []),
    ]
    if any(secret != secret.strip() for secret in found):
        typer.echo("warning: a secret has a blank or a line break at an end", err=True)
    return found


def _from_files(files: list[Path]) -> Iterator[str]:
    for path in files:
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise usage("--secret-file", f"{path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise usage("--secret-file", f"{path} is no UTF-8 text") from None
        yield text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def _from_variables(names: list[str]) -> Iterator[str]:
    for name in names:
        if name not in os.environ:
            raise usage("--secret-env", f"the environment variable {name} is not set")
        yield os.environ[name]
