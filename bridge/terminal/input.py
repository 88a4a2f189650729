"""Reads what commands take from files, standard input and options: bodies, headers, JSON and secrets."""

import base64
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import typer

from bridge.core.errors import Problem, SettingsError
from bridge.formats.parse import parse
from bridge.terminal.output import usage

STDIN = "-"
"""The file name that stands for standard input."""


def opened(name: str) -> BinaryIO:
    """Opens the file, or standard input for STDIN. Raises SettingsError if it cannot be read."""
    if name == STDIN:
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise SettingsError([Problem("", f"cannot be read: {error.strerror}", name)]) from None


def content(name: str) -> bytes:
    """Reads the file, or standard input for STDIN. Raises SettingsError if it cannot be read."""
    with opened(name) as stream:
        return stream.read()


def json_option(option: str, text: str) -> Any:
    """Parses the JSON of an option: its text, a file for `@FILE`, standard input for `@-`. Raises SettingsError."""
    whole = content(text[1:]) if text.startswith("@") else text.encode()
    value = parse(whole)
    if value is None and whole.strip() != b"null":
        raise usage(option, f"no JSON in {text!r}" if len(text) < 200 else "no JSON")
    return value


def body_of(file: str | None, text: str | None, content_type: str | None) -> dict[str, Any]:
    """Returns the body and content type of a message, as the API takes them. The body stays as it is, byte for byte.

    Raises SettingsError where neither or both are given, and for a body that is not JSON without a content type.
    """
    if (file is None) == (text is None):
        raise usage("", "give a FILE, - for standard input, or --body TEXT")
    whole = content(file) if file is not None else str(text).encode("utf-8", "surrogateescape")
    if content_type is None and parse(whole) is None and whole.strip() != b"null":
        raise usage(file or "--body", "not JSON; give --content-type to publish it as it is")
    return {**body_members(whole), "content_type": content_type or "application/json"}


def body_members(whole: bytes) -> dict[str, str]:
    """Returns the body as text if it is UTF-8, else as base64."""
    try:
        return {"body": whole.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(whole).decode()}


def parsed_headers(given: list[str]) -> dict[str, str]:
    """Parses headers of the form `name=value`; raises SettingsError for another form."""
    headers = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise usage("--header", f"{text!r} is not of the form name=value")
        headers[name] = value
    return headers


def all_secrets(given: list[str] | None, files: list[Path] | None, variables: list[str] | None) -> list[str]:
    """Returns all secrets, in this order. Raises SettingsError for an unreadable file or an unset variable."""
    found = [*(given or []), *map(_secret_of_file, files or []), *map(_secret_of_variable, variables or [])]
    if any(secret != secret.strip() for secret in found):
        typer.echo("warning: a secret has a blank or a line break at an end", err=True)
    return found


def _secret_of_file(path: Path) -> str:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise usage("--secret-file", f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise usage("--secret-file", f"{path} is no UTF-8 text") from None
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def _secret_of_variable(name: str) -> str:
    if name not in os.environ:
        raise usage("--secret-env", f"the environment variable {name} is not set")
    return os.environ[name]
