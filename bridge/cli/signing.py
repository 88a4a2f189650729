"""What `amqp-bridge sign` does, and what `verify` needs of it."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import typer
import uuid_utils
from pydantic import ValidationError

from bridge.cli.failures import usage
from bridge.cli.files import content
from bridge.cli.output import print_json
from bridge.cli.scheme import Options, Scheme, Secrets
from bridge.model.errors import Problem, SettingsError
from bridge.model.event import Event, Message
from bridge.model.source import FormatName, Source
from bridge.model.target import Profile, Signature
from bridge.rules.formats.decoder import Decoder
from bridge.rules.signing.reading import moment
from bridge.rules.signing.shapes import Signer
from bridge.rules.signing.signers import signer
from bridge.rules.wire.headers import header_text
from bridge.settings.shape import nearest

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
