"""How the demo shows the bridge's log: one line for each attempt, and what is worth a warning."""

import os
import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from textwrap import wrap
from typing import Any

import orjson

LOUD = {"warning", "error", "critical"}
ATTEMPTS = {"attempt.delivered", "attempt.failed"}
STATUSES = {"Delivered": "SUCCESS", "RetryLater": "RETRYING", "FailedForGood": "FAILED"}
COLOURS = {
    "SUCCESS": 32,
    "RETRYING": 33,
    "FAILED": 31,
    "PENDING": 36,
    "WARNING": 33,
    "ERROR": 31,
    "CRITICAL": 31,
}
COLOURED = re.compile(rf"\b({'|'.join(COLOURS)})\b")
UNSHOWN = {"event", "level", "logger", "time"}


def parse(line: str) -> dict[str, Any]:
    """The fields of a line of the log; a line that is no JSON (a crash) is one `text`."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        fields = None
    return fields if isinstance(fields, dict) else {"text": line}


def shown(fields: Mapping[str, Any]) -> str | None:
    """What people see of it, or None for what would only distract."""
    if fields.get("event") in ATTEMPTS:
        return printable(attempt(fields))
    if fields.get("text"):
        return printable(fields["text"])
    if fields.get("level") in LOUD:
        rest = " ".join(f"{name}={value}" for name, value in fields.items() if name not in UNSHOWN)
        return printable(f"{fields['level'].upper()}: {fields.get('event')} {rest}")
    return None


def attempt(fields: Mapping[str, Any]) -> str:
    """Time, event type, hook, target, what the delivery is now, code, duration, and what went wrong."""
    code = "" if fields["code"] is None else str(fields["code"])
    line = (
        f"{clock(fields['time'])}  {fields['type']:<32}  {fields['hook']:<10} {fields['target']:<8}"
        f" {STATUSES.get(fields['then'], 'PENDING'):<8} {code:>3} {fields['duration_ms']:>8.1f} ms"
    )
    if fields["error"]:
        line += f"  {fields['error']}"
    if fields["wait"] is not None:
        line += f"  (again in {fields['wait']:g} s)"
    return line


def on_terminal(text: str) -> str:
    """The line with its status in colour, broken between words."""
    width = max(40, shutil.get_terminal_size().columns)
    lines = wrap(text, width, subsequent_indent=" " * 14, break_long_words=False, break_on_hyphens=False)
    told = "\n".join(lines)
    return told if "NO_COLOR" in os.environ else COLOURED.sub(_coloured, told, count=1)


def _coloured(found: re.Match[str]) -> str:
    return f"\x1b[{COLOURS[found[0]]}m{found[0]}\x1b[0m"


def clock(time: str) -> str:
    """The local time of day, in milliseconds, of an RFC 3339 time."""
    return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S.%f")[:-3]


def printable(text: str) -> str:
    """The text without control characters: what publishers send must not steer the terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
