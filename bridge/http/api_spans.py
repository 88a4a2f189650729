"""Spans of time of statistics in the query of a request."""

from bridge.admin.statistics import Asked
from bridge.http.api_parameters import Parameters
from bridge.http.described import FROM, HOW, TO, When
from bridge.http.operation import Parameter

SINCE = Parameter("since", When, f"From this moment on: {HOW}.")

__all__ = ["FROM", "SINCE", "TO", "asked_span"]


def asked_span(given: Parameters, since: str = "from", until: str | None = "to") -> Asked:
    """The span that these parameters name; what is wrong with them is kept for `check`."""
    return Asked(*given.span(since, until))
