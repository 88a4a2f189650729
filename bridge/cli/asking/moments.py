"""Times as people type them: `1h` ago, a day, or RFC 3339."""

import re
from datetime import UTC, datetime, timedelta

from bridge.cli.failures import usage
from bridge.model.units import seconds

_DAYS = {"today": 0, "yesterday": 1}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NO_ZONE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?")


def moment(text: str | None, option: str, now: datetime | None = None) -> str | None:
    """RFC 3339 of `1h`, `-1h` (both an hour ago), `now`, `today`, `2025-05-05` (UTC) or RFC 3339; None stays None.

    Raises SettingsError that names the option.
    """
    if text is None:
        return None
    found = _meant(text.strip(), now or datetime.now(UTC))
    if found is None:
        raise usage(
            option,
            f"{text!r} is no time; write for example 1h, 7d, today, 2025-05-05 or 2025-05-05T07:08:09Z",
        )
    return found.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _meant(text: str, now: datetime) -> datetime | None:
    if text == "now":
        return now
    if text in _DAYS:
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=_DAYS[text])
    try:
        if _DATE.fullmatch(text) or _NO_ZONE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        return _ago(text, now) if text[-1:] in "smhd" else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None


def _ago(text: str, now: datetime) -> datetime:
    return now - timedelta(seconds=seconds(text.removeprefix("-")))
