"""CEL expressions over `event`, and filters: those that are true or false."""

import re
from dataclasses import dataclass
from functools import lru_cache

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.model.event import Event
from bridge.rules.routing.activation import ENVIRONMENT, FIELDS, Facts, view_for
from bridge.rules.routing.cost import cost_of
from bridge.rules.routing.hints import hints, plain

MAX_SOURCE = 16_384
"""Characters of an expression."""
MAX_DETAIL = 500
"""Characters of what is said of one evaluation."""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")  # the engine cuts its messages at them
# With fields that are variables, the engine takes has() for the value itself
_HAS_FIELD = re.compile(rf"\bhas\(\s*event\s*\.\s*(?:{'|'.join(FIELDS)})\s*\)")
_FAULT = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to 'event(?:\.(\w+)[\w.]*)?'.*")

# What the engine says of a value that is not there (0.1.3): a key, an index, or a key of what is no object.
# The last is the rule with PHP, which sends an empty object as [] and often null.
_MISSING = ("NOT_FOUND:", "UNKNOWN: Index error", "INVALID_ARGUMENT: Applying SELECT to non-message type")


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The expression came to no value that can be used: a `missing` key, or else an error."""

    missing: bool
    detail: str


class Filter:
    """A compiled filter; made by `compile_filter`."""

    __slots__ = ("_expression", "cost", "source", "view")

    def __init__(self, source: str, expression: cel.Expression) -> None:
        self.source = source
        self.cost = cost_of(source)
        self.view = view_for(source)
        self._expression = expression

    def ask(self, facts: Facts, event: Event) -> bool | Unanswered:
        """Whether the event passes; never raises. `facts` must be its, of a view that includes this filter's."""
        if not self.cost.free and (why := self.cost.refusal(event)):
            return Unanswered(missing=False, detail=why)
        try:
            value = self._expression.eval(facts)
            answer = value.value()
        except (RuntimeError, ValueError) as error:  # such as the iteration budget (10,000) being spent
            return Unanswered(missing=False, detail=str(error)[:MAX_DETAIL])
        if answer is True or answer is False:
            return answer
        if value.type() == cel.Type.ERROR:
            return unanswered(answer)
        return Unanswered(missing=False, detail=f"the filter gave a {value.type().name()}, not true or false")


@lru_cache(maxsize=16_384)  # hooks share filters, and a new table has most filters of the one before
def compile_filter(source: str) -> Filter:
    """The filter that `source` writes; the same one for the same text.

    Raises ValueError, which says where and what, for a syntax error, an unknown field of `event` or any other
    unknown name, types that cannot be compared, a result that is not true or false, and more than 16,384
    characters. A field stands for itself (`event.data.x`, `has(event.data.x)`): `event` alone is no value.
    """
    if len(source) > MAX_SOURCE:
        raise ValueError(f"the filter has {len(source)} characters, the limit is {MAX_SOURCE}")
    expression = compile_expression(source)
    kind = expression.return_type()
    if kind not in (cel.Type.BOOL, cel.Type.DYN):
        raise ValueError(f"the filter gives a {kind.name()}, it must give true or false")
    return Filter(source, expression)


def compile_expression(
    source: str, line: int = 1, column: int = 1, *, costed: bool = False
) -> cel.Expression:
    """The expression that `source` writes, of any type; it begins at that place of a larger text.

    `costed`: what its parts may cost is looked at elsewhere, each by itself.

    Raises ValueError, which says where and what, as `compile_filter` does.
    """
    if found := _CONTROL.search(source):
        raise ValueError(f"the expression has a character that cannot stand there: {found[0]!a}")
    if found := _HAS_FIELD.search(source):
        raise ValueError(f"{found[0]} asks nothing: every event has it; compare it with null instead")
    if not costed:
        cost_of(source)
    try:
        return ENVIRONMENT.compile(source)
    except RuntimeError as error:
        said = _explain(str(error), line, column)
        raise ValueError("; ".join([said, *hints(source, said)])) from None


def unanswered(error: str) -> Unanswered:
    """What the engine's error value says."""
    return Unanswered(missing=error.startswith(_MISSING), detail=error[:MAX_DETAIL])


def _explain(message: str, line: int, column: int) -> str:
    """The engine's message with every fault on one line, the place first."""
    faults = [
        f"line {int(row) + line - 1}, column {int(place) + (column - 1 if row == '1' else 0)}: {_say(text)}"
        for row, place, text in _FAULT.findall(message)
    ]
    return "; ".join(faults) or message.splitlines()[0]


def _say(fault: str) -> str:
    if found := _UNDECLARED.fullmatch(fault):
        known = ", ".join(f"event.{name}" for name in FIELDS)
        return f"{f'no field event.{found[1]}' if found[1] else 'event alone is no value'}; there are {known}"
    return plain(fault.removesuffix(" (in container '')"))
