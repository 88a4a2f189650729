"""Moments as people ask for them: RFC 3339, a date, a word, or so long ago. All of it in UTC."""

import re
from datetime import UTC, datetime, timedelta

from bridge.model.units import seconds

_LONGEST = 64
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\d*\s?([Zz]|[+ -]\d\d:?\d\d)?", re.ASCII
)
_RELATIVE = re.compile(
    r"(?:now\s*)?([+-])\s*(\d{1,6})\s*([a-z]+)(\s+ago)?|(\d{1,6})\s*([a-z]+)\s+ago", re.ASCII
)
_AGO = re.compile(r"-?(\d{1,6}[smhd])+", re.ASCII)
_WORDS = {"now": None, "today": 0, "yesterday": -1, "tomorrow": 1}
_UNITS = {
    "s": "seconds", "sec": "seconds", "second": "seconds", "m": "minutes", "min": "minutes", "minute": "minutes",
    "h": "hours", "hour": "hours", "d": "days", "day": "days", "w": "weeks", "week": "weeks",
}  # fmt: skip
_MONTHS = {"month": 1, "year": 12}
EXPECTED = (
    "must be RFC 3339 such as 2025-05-05T07:08:09Z, a date such as 2025-05-05, now, today, yesterday, or so long "
    "before now, such as 7d, -24h or 2h30m"
)


def moment(text: str, now: float, *, end: bool = False) -> float:
    """Unix seconds of what `text` says; raises ValueError, which says what is possible.

    A date, `today` and the like name a whole day: they are its beginning, and with `end` the end of it. A length of time
    is so long ago. A time without an offset is UTC; months and years go by the calendar.
    """
    given = text.strip()
    if len(given) > _LONGEST:
        raise ValueError(EXPECTED)
    try:
        found = _told(given, datetime.fromtimestamp(now, UTC), end)
    except (ValueError, OverflowError):
        found = None
    if found is None or found.timestamp() < 0:
        raise ValueError(EXPECTED)
    return min(found, _LAST).timestamp()


def _told(text: str, now: datetime, end: bool) -> datetime | None:
    lower = text.lower()
    if lower in _WORDS:
        days = _WORDS[lower]
        return now if days is None else _day(now + timedelta(days=days), end)
    if _DATE.fullmatch(text):
        return _day(datetime.fromisoformat(text), end)
    if found := _MOMENT.fullmatch(text):
        return _written(*found.groups())
    return _relative(lower, now)


def _relative(lower: str, now: datetime) -> datetime | None:
    if _AGO.fullmatch(lower):
        return now - timedelta(seconds=seconds(lower.removeprefix("-")))
    if relative := _RELATIVE.fullmatch(lower):
        sign, number, unit, ago, bare, unit_of_bare = relative.groups()
        if bare is not None:
            return _shifted(now, -int(bare), unit_of_bare)
        return None if ago and sign == "+" else _shifted(now, int(f"{sign}{number}"), unit)
    return None


def _day(within: datetime, end: bool) -> datetime:
    midnight = within.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    return midnight + timedelta(days=1) if end else midnight


def _written(day: str, clock: str, offset: str | None) -> datetime:
    """A + that was not encoded arrives as a blank; a leap second has no place of its own in Unix time."""
    clock = clock.replace(":60", ":59")
    zone = (offset or "Z").replace(" ", "+").upper()
    try:
        return max(datetime.fromisoformat(f"{day}T{clock}{zone}").astimezone(UTC), _FIRST)
    except OverflowError:  # the first and the last day of the calendar, which programs take for none
        return _FIRST if day < "5000" else _LAST


def _shifted(now: datetime, number: int, unit: str) -> datetime | None:
    name = unit if unit in _UNITS or unit in _MONTHS else unit.removesuffix("s")
    if name in _MONTHS:
        return _months_on(now, number * _MONTHS[name])
    if name not in _UNITS:
        return None
    return now + timedelta(**{_UNITS[name]: number})


def _months_on(now: datetime, months: int) -> datetime:
    """The same day of another month, or the last one that it has."""
    year, month = divmod(now.year * 12 + now.month - 1 + months, 12)
    first = now.replace(year=year, month=month + 1, day=1)
    last = ((first + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
    return first.replace(day=min(now.day, last))
