"""How values look: statuses, times, sizes, ids and foreign text."""

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple


class Mark(NamedTuple):
    """The class of the style sheet, the word and the icon of a status."""

    style: str
    word: str
    icon: str


def _(text: str) -> str:
    """Marks a text for translation."""
    return text


MARKS: Mapping[str, Mark] = {
    "SUCCESS": Mark("ok", _("delivered"), "ok"),
    "FAILED": Mark("fail", _("failed"), "fail"),
    "RETRYING": Mark("retry", _("retrying"), "retry"),
    "PENDING": Mark("wait", _("waiting"), "wait"),
    "SKIPPED": Mark("skip", _("skipped"), "skip"),
    "matched": Mark("ok", _("matched"), "ok"),
    "skipped": Mark("skip", _("skipped"), "skip"),
    "unmatched": Mark("skip", _("no hook"), "off"),
    "active": Mark("ok", _("active"), "ok"),
    "paused": Mark("pause", _("paused"), "pause"),
    "disabled": Mark("skip", _("disabled"), "off"),
    "failing": Mark("fail", _("failing"), "fail"),
    "deleting": Mark("skip", _("being deleted"), "skip"),
    "broken": Mark("fail", _("broken"), "fail"),
    "breaker_open": Mark("retry", _("breaker open"), "breaker"),
    "consuming": Mark("ok", _("consuming"), "ok"),
    "running": Mark("wait", _("running"), "wait"),
    "pending": Mark("wait", _("waiting"), "wait"),
    "done": Mark("ok", _("done"), "ok"),
    "connecting": Mark("retry", _("connecting"), "retry"),
    "standing_by": Mark("wait", _("standing by"), "wait"),
    "left": Mark("fail", _("not consumed"), "fail"),
    "cancelled": Mark("skip", _("cancelled"), "skip"),
    "failed": Mark("fail", _("failed"), "fail"),
    "delivered": Mark("ok", _("delivered"), "ok"),
}
"""What each status looks like: shape and word, never colour alone."""

_UNITS = ((86_400 * 2, 86_400, "d"), (3600 * 2, 3600, "h"), (120, 60, "min"), (0, 1, "s"))


def mark(status: str) -> Mark:
    """Returns how a status looks; one that is not known looks plain, under its own word."""
    return MARKS.get(status) or Mark("skip", status, "off")


def parsed_time(text: str) -> datetime:
    """Returns the moment of a time of the API."""
    return datetime.fromisoformat(text)


def absolute(text: str) -> str:
    """Returns a time of the API to the second, with its zone."""
    return parsed_time(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def seconds_since(text: str, now: datetime | None = None) -> float:
    """Returns the seconds since a time of the API; negative if it lies ahead."""
    return ((now or datetime.now(UTC)) - parsed_time(text)).total_seconds()


def duration(seconds: float) -> str:
    """Returns a duration in one unit."""
    seconds = max(0.0, seconds)
    for least, size, unit in _UNITS:
        if seconds >= least:
            return f"{seconds / size:.0f} {unit}"
    return "0 s"


def milliseconds(value: float | None) -> str:
    """Returns milliseconds with as many digits as tell something; nothing for None."""
    if value is None:
        return ""
    if value >= 10_000:
        return duration(value / 1000)
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def number(value: float | None) -> str:
    """Returns a whole number with its thousands apart."""
    return "" if value is None else f"{value:,.0f}"


def size(count: int | None) -> str:
    """Returns a number of bytes."""
    if count is None:
        return ""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def short_id(text: str) -> str:
    """Returns the first 8 and the last 4 characters of an id."""
    return text if len(text) <= 14 else f"{text[:8]}…{text[-4:]}"


def visible(value: object) -> str:
    """Returns foreign text in which controls and bidi overrides are written as escapes."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(_shown(text))


def _shown(text: str) -> Iterator[str]:
    for character in text:
        if character in "\n\t" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}:
            yield character
        elif ord(character) < 0x100:
            yield f"\\x{ord(character):02x}"
        else:
            yield f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
