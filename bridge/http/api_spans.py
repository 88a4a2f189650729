"""Spans of time in the query of a request: moments, dates, or so long ago."""

import time
from functools import partial
from typing import Annotated

from pydantic import WithJsonSchema

from bridge.admin.statistics import Asked
from bridge.http.api_parameters import Parameters
from bridge.http.operation import Parameter
from bridge.rules.statistics.moments import moment

_When = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "maxLength": 64, "examples": ["-7d", "2025-05-05", "2025-05-05T07:08:09Z"]}
    ),
]
_HOW = "RFC 3339, a date, now, today, yesterday, or so long ago, such as -7d or -24h"
FROM = Parameter("from", _When, f"From this moment on: {_HOW}.")
TO = Parameter("to", _When, f"Before this moment: {_HOW}; of a date its end.")
SINCE = Parameter("since", _When, f"From this moment on: {_HOW}.")


def asked_span(given: Parameters, since: str = "from", until: str | None = "to") -> Asked:
    """The span that these parameters name; what is wrong with them is kept for `check`."""
    now = time.time()
    begin = given.read(since, partial(moment, now=now))
    end = None if until is None else given.read(until, partial(moment, now=now, end=True))
    if begin is not None and end is not None and begin > end:
        given.wrong(until or since, f"is before `{since}`")
    return Asked(begin, end)
