"""Times as publishers write them, as RFC 3339 text in UTC; what is no time is None."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from bridge.rules.formats.text import utc_text

_LONGEST = 64
_WRITTEN = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_UTC_NAMES = frozenset({"Z", "UTC", "GMT"})
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all sums here are in UTC
_YEAR_2000, _YEAR_2100, _YEAR_10000 = 946_684_800, 4_102_444_800, 253_402_300_800


def from_text(text: Any, zone: tzinfo = UTC) -> str | None:
    """The UTC of `2025-05-05T09:08:09.1234567+02:00`, with the fraction as it is.

    Seconds, fraction and offset may be missing, a space may stand for the T and before the offset, which may
    be `UTC`, `+0200` or `+02`; a time without an offset is one of `zone`.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    if (written := _WRITTEN.fullmatch(text.strip())) is None:
        return None
    day, clock, fraction, offset = written.groups()
    ending = f".{fraction}Z" if fraction else "Z"
    try:
        if offset and offset.upper() in _UTC_NAMES:
            return datetime.fromisoformat(f"{day}T{clock}").isoformat() + ending
        moment = datetime.fromisoformat(f"{day}T{clock}{offset or ''}")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        # offsets are whole seconds: the fraction stays what it was
        return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + ending
    except (ValueError, OverflowError):  # no such date, or off the calendar once the offset is applied
        return None


def from_seconds(number: Any) -> str | None:
    """The UTC of so many seconds since 1970, whole or not, exact to the microsecond."""
    if not _is_number(number) or not 0 < number < _YEAR_10000:
        return None
    return _written(_EPOCH + timedelta(seconds=number))


def from_milliseconds(number: Any) -> str | None:
    """The UTC of so many milliseconds since 1970."""
    if not _is_number(number) or not 0 < number < _YEAR_10000 * 1000:
        return None
    return _written(_EPOCH + timedelta(milliseconds=number))


def from_value(value: Any, zone: tzinfo = UTC) -> str | None:
    """The UTC of a time of unknown kind: an AMQP timestamp, text, or seconds or milliseconds since 1970, where
    these fall between 2000 and 2100.
    """
    if isinstance(value, str):
        return from_text(value, zone)
    if isinstance(value, datetime):
        return utc_text(value)
    if _is_number(value):
        if _YEAR_2000 <= value < _YEAR_2100:
            return from_seconds(value)
        if _YEAR_2000 * 1000 <= value < _YEAR_2100 * 1000:
            return from_milliseconds(value)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _written(moment: datetime) -> str:
    if moment.microsecond % 1000 == 0 and moment.microsecond:
        return moment.isoformat(timespec="milliseconds") + "Z"
    return moment.isoformat() + "Z"
