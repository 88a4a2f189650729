"""Spans of filters as absolute times, so that what was counted is what is done."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from bridge.measuring.spans import moment

_ENDS = ("to", "updated_to")
_TIMES = ("from", "updated_from", *_ENDS)


def absolute(which: Mapping[str, str], end: str = "to") -> dict[str, str]:
    """Returns the filter with absolute times; its parameter `end` is now at the latest.

    What is no time stays, for the API to refuse.
    """
    now = time.time()
    made = {end: _text(now), **which}
    for name in _TIMES:
        if name in which:
            try:
                at = moment(which[name], now, end=name in _ENDS)
            except ValueError:
                continue
            made[name] = _text(min(at, now) if name in _ENDS else at)
    return made


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
