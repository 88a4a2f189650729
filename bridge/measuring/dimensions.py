"""What a source measures of its events: named CEL expressions, each of which gives a key, a number, or nothing."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.core.event import Event, Source
from bridge.expressions.engine import View, compile_expression, view_for
from bridge.measuring.spans import DAY

Value = str | int | float | bool

MAX_KEY = 200
"""Characters of a key; longer ones are cut."""
MAX_NUMBER = 1e15
"""Greater ones are not summed: they are exact no longer, and would drown all others."""
_OLDEST, _NEWEST = 3660 * DAY, DAY
_TEXT = 16 * MAX_KEY

OF_PHLIX: Mapping[str, str] = {
    "user": "event.data.user_id",
    "media": "event.data.media_item_id",
    "duration": "event.data.duration_seconds",
    "completed": "event.data.completed",
}
"""What a source measures of Phlix's events, unless it says otherwise, where its format is phlix or auto."""


def dimensions_of(source: Source) -> Mapping[str, str]:
    """The expressions that statistics of a source are kept over, by name."""
    if source.dimensions or source.format not in ("phlix", "auto"):
        return source.dimensions
    return OF_PHLIX


def measured_by(source: Source) -> "Dimensions | None":
    """What is measured of each event of the source; None where it is nothing. Raises ValueError as Dimensions does."""
    expressions = dimensions_of(source)
    if not expressions:
        return None
    return Dimensions(
        expressions, only="phlix" if source.format == "auto" and not source.dimensions else None
    )


def compile_dimension(text: str) -> cel.Expression:
    """The expression; raises ValueError, which says where and what, for one that cannot give a key or number."""
    expression = compile_expression(text)
    kind = expression.return_type()
    if kind not in (
        cel.Type.DYN,
        cel.Type.STRING,
        cel.Type.INT,
        cel.Type.UINT,
        cel.Type.DOUBLE,
        cel.Type.BOOL,
    ):
        raise ValueError(
            f"the expression gives a {kind.name()}, it must give text, a number, or true or false"
        )
    return expression


class Dimensions:
    """The expressions of one source, compiled."""

    def __init__(self, expressions: Mapping[str, str], only: str | None = None) -> None:
        """`only`: the format of the events that have any of them. Raises ValueError as `compile_dimension` does."""
        self._only = only
        self._expressions = [(name, compile_dimension(text)) for name, text in expressions.items()]
        self._view = View.union([view_for(text) for text in expressions.values()])

    def of(self, event: Event) -> dict[str, Value]:
        """The value of each dimension that the event has one of; never raises."""
        found: dict[str, Value] = {}
        if self._only is not None and event.format != self._only:
            return found
        facts = self._view.of(event)
        for name, expression in self._expressions:
            try:
                answer = expression.eval(facts)
                value = answer.value()
            except (RuntimeError, ValueError):  # such as the iteration budget (10,000) being spent
                continue
            if isinstance(value, bool | int | float | str) and answer.type() != cel.Type.ERROR:
                found[name] = value[:_TEXT] if isinstance(value, str) else value
        return found


def key_of(value: Value) -> str | None:
    """The value as a key; None for an empty text and for numbers that are not whole: these are for sums only."""
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
    """The value as a number to sum, true as 1; None for text and for what is too great."""
    if isinstance(value, str) or not math.isfinite(value) or abs(value) > MAX_NUMBER:
        return None
    return float(value)


def counted_at(event: Event) -> float:
    """When an event counts, in Unix seconds: by its own time, else by its receipt.

    A time of over ten years before the receipt, or over a day after, is taken for a fault of the publisher's clock.
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
