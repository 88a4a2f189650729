"""A request as a command line with curl, for POSIX shells: the body arrives byte for byte."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_HIDDEN = "***"
_SIGNATURES = re.compile(r".*signature.*|webhook-timestamp|.*-hmac.*|.*-hub-.*", re.IGNORECASE)
_OWN = frozenset({"host", "content-length", "accept-encoding", "connection", "transfer-encoding"})
"""Headers that curl writes itself."""
_VARIABLE = re.compile(r"[^A-Z0-9]+")


def command(request: Mapping[str, Any], body: bytes) -> str | None:
    """Returns the command line of a webhook's request; None for other targets.

    Secrets, of which only `***` is known, become variables of the shell; signatures are left out: they are of the moment.
    """
    if request["type"] != "webhook":
        return None
    headers = [(each["name"], each["value"]) for each in request["headers"]]
    left = [name for name, _ in headers if _SIGNATURES.fullmatch(name)]
    options = [option for name, value in headers for option in _header(name, value)]
    lines = [f"curl -X {shlex.quote(request['method'] or 'POST')}", *options]
    # `Expect` and the content type are curl's own ideas: the receiver must see what the bridge would send.
    if not any(name.lower() == "content-type" for name, _ in headers):
        lines.append("-H 'Content-Type:'")
    lines += ["--data-binary @-", _quoted_url(request["to"])]
    text = _note(left) + _printed(body) + " |\n  " + " \\\n    ".join(lines)
    return text + "\n"


def _header(name: str, value: str) -> Iterable[str]:
    if name.lower() in _OWN or _SIGNATURES.fullmatch(name):
        return
    if _HIDDEN not in value:
        yield f"-H {shlex.quote(f'{name}: {value}' if value else f'{name};')}"
        return
    before, _, after = value.partition(_HIDDEN)
    variable = f'"${{{_variable(name)}}}"'
    yield f"-H {shlex.quote(f'{name}: {before}')}{variable}{shlex.quote(after) if after else ''}"


def _variable(name: str) -> str:
    made = _VARIABLE.sub("_", name.upper()).strip("_")
    return made if made and not made[0].isdigit() else f"SECRET_{made}"


def _quoted_url(url: str) -> str:
    """Returns the URL, in which curl expands no brackets."""
    return ("-g " if re.search(r"[\[\]{}]", url) else "") + shlex.quote(url)


def _note(left: Sequence[str]) -> str:
    return f"# left out, as they are of the moment: {', '.join(left)}\n" if left else ""


def _printed(body: bytes) -> str:
    """Returns a command that prints these bytes: as they are where that is text, else with escapes of printf."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if all(character.isprintable() or character in "\n\t" for character in text):
        return f"printf %s {shlex.quote(text)}"
    return f"printf {shlex.quote(''.join(map(_escaped, body)))}"


def _escaped(byte: int) -> str:
    plain = 0x20 <= byte < 0x7F and byte not in b"%\\"
    return chr(byte) if plain else f"\\{byte:03o}"
