"""Compiled placeholders: several expressions that are evaluated together for one event."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.core.event import Event
from bridge.expressions.cost import cost_of
from bridge.expressions.engine import MAX_DETAIL, EvaluationError, compile_expression, unanswered, view_for
from bridge.expressions.lexer import texts
from bridge.expressions.values import ValueTooLarge, exported, from_engine
from bridge.formats.registry import attributes_of, envelope_of

MAX_VALUES = 1_048_576
"""Maximum characters and items of all values together, which no template may exceed."""
_SMALL = 16_384
"""The event size in bytes of which 10,000 copies are harmless."""

# Evaluated without the engine: faster, and it keeps the order of keys and integers beyond 64 bits.
_FIELDS: Mapping[str, Callable[[Event], Any]] = {
    "id": lambda event: event.id,
    "publisher_id": lambda event: event.publisher_id,
    "type": lambda event: event.type,
    "source": lambda event: event.source,
    "time": lambda event: event.time,
    "data": lambda event: event.data,
    # AMQP tables are unordered, and those of copies are sorted: all attempts must send the same order
    "headers": lambda event: dict(sorted(event.message.headers.items())),
    "format": lambda event: event.format,
    "identity": lambda event: event.identity,
    "envelope": envelope_of,
    "attributes": attributes_of,
}
_STEP = r"""\.[A-Za-z_]\w*|\[\d{1,9}\]|\["[^"\\\n]*"\]|\['[^'\\\n]*'\]"""
_PATH = re.compile(rf"event\.({'|'.join(_FIELDS)})((?:{_STEP})*)", re.ASCII)
_ONE_STEP = re.compile(_STEP, re.ASCII)


class Path:
    """An expression that is a plain lookup: `event.data.lines[0].price`."""

    def __init__(self, source: str, field: str, steps: Sequence[str | int]) -> None:
        self._source = source
        self._field = _FIELDS[field]
        self._steps = tuple(steps)

    def read(self, event: Event) -> Any:
        """Returns the value at the path, or EvaluationError."""
        value = self._field(event)
        for step in self._steps:
            known = (
                step in value
                if isinstance(value, Mapping)
                else isinstance(value, list) and _is_in(step, value)
            )
            if not known:
                what = f"key {step!r}" if isinstance(step, str) else f"item {step}"
                return EvaluationError(
                    missing=True, detail=f"{self._source}: there is no {what}"[:MAX_DETAIL]
                )
            value = value[step]
        return value


class CompiledPlaceholders:
    """Expressions that are compiled and evaluated together, so that they share one budget of iterations.

    Raises ValueError, with position and reason. `sources` are the expressions with their positions in a larger text.
    """

    def __init__(self, sources: Sequence[tuple[str, int, int]]) -> None:
        expressions = [compile_expression(*each) for each in sources]
        paths = [path_of(source) for source, _, _ in sources]
        self._size = len(sources)
        self._paths = [(index, path) for index, path in enumerate(paths) if path]
        self._computed = [index for index, path in enumerate(paths) if not path]
        self._each = [(sources[index][0], expressions[index]) for index in self._computed]
        # A trailing comment must not extend to the next expression
        joined = "[" + ",".join(f"{source}\n" for source, _ in self._each) + "]"
        self._program = compile_expression(joined, costed=True) if self._each else None
        costs = [cost_of(source) for source, _ in self._each]
        self._costs = [cost for cost in costs if not cost.free]
        self._copies = any(cost.copies for cost in costs)
        self._view = view_for(joined)
        self._order = {text: index for index, text in reversed(list(enumerate(texts(joined))))}

    def values(self, event: Event) -> list[Any] | EvaluationError:
        """Returns the values in order, as JSON values."""
        values: list[Any] = [None] * self._size
        for index, path in self._paths:
            values[index] = value = path.read(event)
            if isinstance(value, EvaluationError):
                return value
        if self._program is not None:
            computed = self._compute(self._program, event)
            if isinstance(computed, EvaluationError):
                return computed
            for index, value in zip(self._computed, computed, strict=True):
                values[index] = from_engine(value, self._order)
        return values

    def _compute(self, program: cel.Expression, event: Event) -> list[Any] | EvaluationError:
        if why := next(filter(None, (cost.refusal(event) for cost in self._costs)), ""):
            return EvaluationError(missing=False, detail=why)
        facts = self._view.of(event)
        try:
            value = program.eval(facts)
            if value.type() == cel.Type.ERROR:
                return self._culprit(facts) or unanswered(str(value.plain_value()))
            return self._exported(value, event)
        except (
            RuntimeError,
            ValueError,
            ValueTooLarge,
        ) as error:  # such as an exceeded iteration budget (10,000)
            return EvaluationError(missing=False, detail=str(error)[:MAX_DETAIL])

    def _exported(self, value: cel.Value, event: Event) -> list[Any]:
        bounded = self._copies and len(event.message.body) > _SMALL
        found: list[Any] = exported(value, MAX_VALUES) if bounded else value.plain_value()
        return found

    def _culprit(self, facts: Any) -> EvaluationError | None:
        """Returns the error of the expression that failed, which the engine's own error does not name."""
        for source, expression in self._each:
            value = expression.eval(facts)
            if value.type() == cel.Type.ERROR:
                found = unanswered(value.value())
                detail = f"{' '.join(source.split())[: MAX_DETAIL // 2]}: {found.detail}"
                return EvaluationError(missing=found.missing, detail=detail[:MAX_DETAIL])
        return None


def path_of(source: str) -> Path | None:
    """Returns the path of the expression, None if it is not a plain lookup."""
    if not (found := _PATH.fullmatch(source)):
        return None
    steps: list[str | int] = []
    for step in _ONE_STEP.findall(found[2]):
        if step.startswith("."):
            steps.append(step[1:])
        else:
            steps.append(step[2:-2] if step[1] in "'\"" else int(step[1:-1]))
    return Path(source, found[1], steps)


def _is_in(step: str | int, row: list[Any]) -> bool:
    return isinstance(step, int) and step < len(row)
