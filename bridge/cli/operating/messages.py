"""Bodies and messages as the API takes them, from files and options."""

import base64
from typing import Any

from bridge.cli.failures import usage
from bridge.cli.files import STDIN, content
from bridge.rules.formats.parse import parse


def json_option(option: str, text: str) -> Any:
    """The JSON of an option's text, of a file for `@FILE`, of standard input for `@-`; raises SettingsError."""
    whole = content(text[1:]) if text.startswith("@") else text.encode()
    value = parse(whole)
    if value is None and whole.strip() != b"null":
        raise usage(option, f"no JSON in {text!r}" if len(text) < 200 else "no JSON")
    return value


def body_of(file: str | None, text: str | None, content_type: str | None) -> dict[str, Any]:
    """The members of a message that hold its body, byte for byte, and tell its type.

    Raises SettingsError where neither or both are given, and for a body that is not JSON without a content type.
    """
    if (file is None) == (text is None):
        raise usage("", "give a FILE, - for standard input, or --body TEXT")
    whole = content(file) if file is not None else str(text).encode("utf-8", "surrogateescape")
    if content_type is None and parse(whole) is None and whole.strip() != b"null":
        raise usage(file or "--body", "not JSON; give --content-type to publish it as it is")
    return {**body_members(whole), "content_type": content_type or "application/json"}


def body_members(whole: bytes) -> dict[str, str]:
    """The member that holds these bytes: as text where they are."""
    try:
        return {"body": whole.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(whole).decode()}


def name_of(file: str) -> str:
    """A file's name for messages."""
    return "standard input" if file == STDIN else file
