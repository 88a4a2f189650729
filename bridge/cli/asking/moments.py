"""Times as people type them: `1h` ago, a day, or RFC 3339; they mean what they mean to the API."""

from datetime import UTC, datetime

from bridge.cli.failures import usage
from bridge.model.units import seconds
from bridge.rules.statistics.moments import moment as meant

_ENDS = frozenset({"--until", "--to", "--updated-until"})
"""Options of which a day is meant with all of it."""


def moment(text: str | None, option: str, now: datetime | None = None) -> str | None:
    """RFC 3339 of `1h`, `-1h` (both an hour ago), `now`, `today`, `2025-05-05` (UTC) or RFC 3339; None stays None.

    A day is its beginning, or for an option that ends a span its end. Raises SettingsError that names the option.
    """
    if text is None:
        return None
    try:
        found = meant(text, (now or datetime.now(UTC)).timestamp(), end=option in _ENDS)
    except ValueError:
        raise usage(
            option,
            f"{text!r} is no time; write for example 1h, 7d, today, 2025-05-05 or 2025-05-05T07:08:09Z",
        ) from None
    return datetime.fromtimestamp(found, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def length(text: str, option: str) -> float:
    """Seconds of `30s`, `5m`; raises SettingsError that names the option."""
    try:
        return float(seconds(text))
    except ValueError as error:
        raise usage(option, str(error)) from None
