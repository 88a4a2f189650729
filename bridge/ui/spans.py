"""Spans of filters as absolute times, so that what was counted is what is done."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from bridge.measuring.spans import moment


def absolute(which: Mapping[str, str]) -> dict[str, str]:
    """Returns the filter with absolute times; it ends now at the latest. What is no time stays, for the API to refuse."""
    now = time.time()
    made = {"to": _text(now), **which}
    for name in ("from", "to"):
        if name in which:
            try:
                at = moment(which[name], now, end=name == "to")
            except ValueError:
                continue
            made[name] = _text(min(at, now) if name == "to" else at)
    return made


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
