"""Dimensions: a source's named CEL expressions whose values statistics are kept over."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.core.event import Event, Source
from bridge.expressions.engine import TEXTS, View, compile_giving, view_for
from bridge.measuring.spans import DAY

Value = str | int | float | bool

MAX_KEY = 200
"""Maximum characters of a key; longer keys are cut."""
MAX_NUMBER = 1e15
"""The largest number that is summed: greater ones are inexact and would dominate all others."""
_OLDEST, _NEWEST = 3660 * DAY, DAY
_TEXT = 16 * MAX_KEY

OF_PHLIX: Mapping[str, str] = {
    "user": "event.data.user_id",
    "media": "event.data.media_item_id",
    "duration": "event.data.duration_seconds",
    "completed": "event.data.completed",
}
"""The default dimensions of a source with format phlix or auto."""


def dimensions_of(source: Source) -> Mapping[str, str]:
    """Returns the expressions of a source's dimensions, by name."""
    if source.dimensions or source.format not in ("phlix", "auto"):
        return source.dimensions
    return OF_PHLIX


def measured_by(source: Source) -> "Dimensions | None":
    """Returns the compiled dimensions of the source; None if it has none. Raises ValueError as Dimensions does."""
    expressions = dimensions_of(source)
    if not expressions:
        return None
    return Dimensions(
        expressions, only="phlix" if source.format == "auto" and not source.dimensions else None
    )


def compile_dimension(text: str) -> cel.Expression:
    """Returns the expression; raises ValueError, with the position, if it can give neither key nor number."""
    kinds = (*TEXTS, cel.Type.DOUBLE, cel.Type.BOOL)
    return compile_giving(text, kinds, "text, a number, or true or false")


class Dimensions:
    """The compiled dimensions of one source."""

    def __init__(self, expressions: Mapping[str, str], only: str | None = None) -> None:
        """`only` restricts the expressions to one format's events; raises ValueError as `compile_dimension`."""
        self.only = only
        self._expressions = [(name, compile_dimension(text)) for name, text in expressions.items()]
        self._view = View.union([view_for(text) for text in expressions.values()])

    def of(self, event: Event) -> dict[str, Value]:
        """Returns the values of the dimensions that the event has. Never raises."""
        found: dict[str, Value] = {}
        if self.only is not None and event.format != self.only:
            return found
        facts = self._view.of(event)
        for name, expression in self._expressions:
            try:
                answer = expression.eval(facts)
                value = answer.value()
            except (RuntimeError, ValueError):  # such as an exceeded iteration budget (10,000)
                continue
            if isinstance(value, bool | int | float | str) and answer.type() != cel.Type.ERROR:
                found[name] = value[:_TEXT] if isinstance(value, str) else value
        return found


def key_of(value: Value) -> str | None:
    """Returns the value as a key; None for empty text and for numbers with a fraction, which are only summed."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value[:MAX_KEY] or None
        case float():
            return str(int(value)) if value.is_integer() else None
        case int():
            return str(value)


def number_of(value: Value) -> float | None:
    """Returns the value as a number to sum, true as 1; None for text and for numbers that are too large."""
    if isinstance(value, str) or not math.isfinite(value) or abs(value) > MAX_NUMBER:
        return None
    return float(value)


def counted_at(event: Event) -> float:
    """Returns the time at which an event counts, in Unix seconds: its own time, else its receipt.

    A time over ten years before the receipt, or over a day after it, is treated as a wrong clock of the publisher.
    """
    received = event.received_at
    if event.time is None:
        return received
    try:
        told = datetime.fromisoformat(event.time[:19] if event.time.endswith("Z") else event.time)
    except ValueError:
        return received
    at = (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
    return at if received - _OLDEST <= at <= received + _NEWEST else received
