"""Templates: text with `{{ CEL }}` placeholders, or a CEL expression whose value is serialized as JSON."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.bodies.exact import table_text, to_json
from bridge.core.delivery import Answer
from bridge.core.event import Event
from bridge.expressions import lexer
from bridge.expressions.engine import MAX_DETAIL, EvaluationError, compile_expression, unanswered, view_for
from bridge.expressions.lexer import cost_of
from bridge.expressions.values import ValueTooLarge, exported, from_engine
from bridge.formats.registry import attributes_of, envelope_of

# Compiled placeholders: several expressions that are evaluated together for one event.


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
                else isinstance(value, list) and isinstance(step, int) and step < len(value)
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
        self._order = {text: index for index, text in reversed(list(enumerate(lexer.texts(joined))))}

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


# Templates.


MAX_SOURCE = 65_536
"""Maximum characters of a template."""
MAX_OUTPUT = 1_048_576
"""Maximum bytes of a rendered template."""

_TOO_LARGE = EvaluationError(missing=False, detail=f"the template makes more than {MAX_OUTPUT} bytes")
_QUOTE = re.compile(r'(?<!\\)(?:\\\\)*"')

Escape = Callable[[str], str]
Fill = Callable[[Sequence[Any], Escape | None], str | EvaluationError]
Pick = Callable[[Sequence[Any]], Any]


class Template:
    """A compiled template; created by `compile_template`. `is_text`: text with placeholders, not an expression."""

    __slots__ = ("_fill", "_slots", "is_text", "source")

    def __init__(self, source: str, slots: CompiledPlaceholders, fill: Fill, *, is_text: bool) -> None:
        self.source = source
        self.is_text = is_text
        self._slots = slots
        self._fill = fill

    def render(self, event: Event, escape: Escape | None = None) -> str | EvaluationError:
        r"""Returns the rendered template, at most 1 MiB in UTF-8. Never raises.

        A placeholder inserts text as it is, null as nothing, and other values as compact JSON. `escape`, if given, is
        applied to inserted values only. Without it, a placeholder between double quotes of a template that begins with
        `{` or `[` is escaped for JSON: `{"name": "{{ event.data.name }}"}` is valid JSON for any name. If such a
        template is JSON except for its placeholders, null outside of quotes is `null`. Lone surrogates, which UTF-8
        cannot encode, are written as `\udXXX`.
        """
        values = self._slots.values(event)
        if isinstance(values, EvaluationError):
            return values
        text = self._fill(values, escape)
        return text if isinstance(text, EvaluationError) else _bounded(text)


@lru_cache(maxsize=4096)  # cached: a new table of hooks has most templates of the previous one
def compile_template(source: str, *, text: bool = False) -> Template:
    """Returns the compiled template of `source`, cached by text.

    With `{{` in it, or with `text`, it is text with placeholders; otherwise one CEL expression, whose value is
    serialized as JSON: a map keeps the order of its keys. Plain lookups (`event.data.lines[0]`) are inserted unchanged;
    values computed by the engine have 64-bit integers, larger ones are text, and in computed maps the keys that the
    template spells come first.

    Raises ValueError, with position and reason, for a syntax error, an unknown field of `event` or another unknown
    name, an unterminated placeholder, and more than 65,536 characters.
    """
    if len(source) > MAX_SOURCE:
        raise ValueError(f"the template has {len(source)} characters, the limit is {MAX_SOURCE}")
    if text or "{{" in source:
        return _text_template(source)
    return _expression_template(source)


def _text_template(source: str) -> Template:
    parts = lexer.split_text(source)
    placeholders = [part for part in parts if isinstance(part, lexer.Placeholder)]
    slots = CompiledPlaceholders(
        [(placeholder.expression, *lexer.position(source, placeholder.start)) for placeholder in placeholders]
    )
    return Template(source, slots, _text_filler(parts), is_text=True)


def _expression_template(source: str) -> Template:
    compile_expression(source, costed=True)
    expressions: list[str] = []
    pick = _picker(lexer.literal(source), expressions)
    slots = CompiledPlaceholders([(expression, 1, 1) for expression in expressions])

    def fill(values: Sequence[Any], _escape: Escape | None) -> str | EvaluationError:
        return _json(pick(values))

    return Template(source, slots, fill, is_text=False)


def _picker(tree: lexer.Literal, expressions: list[str]) -> Pick:
    """Returns a function that rebuilds a literal from the values of its expressions, appended to `expressions`."""
    match tree:
        case lexer.MapLiteral(entries):
            _check_keys([key for key, _ in entries])
            pairs = [(_key_picker(key, expressions), _picker(value, expressions)) for key, value in entries]
            return lambda values: {key(values): value(values) for key, value in pairs}
        case lexer.ListLiteral(items):
            picks = [_picker(item, expressions) for item in items]
            return lambda values: [pick(values) for pick in picks]
        case str():
            expressions.append(tree)
            return itemgetter(len(expressions) - 1)


def _key_picker(key: str, expressions: list[str]) -> Pick:
    if (text := lexer.plain_text(key)) is not None:
        return lambda _values: text
    pick = _picker(key, expressions)
    return lambda values: _as_text(pick(values))


def _check_keys(keys: list[str]) -> None:
    known: set[str] = set()
    for text in map(lexer.plain_text, keys):
        if text in known:
            raise ValueError(f"the key {text!r} stands twice in a map")
        if text is not None:
            known.add(text)


def _text_filler(parts: Sequence[str | lexer.Placeholder]) -> Fill:
    pieces = list(_pieces(parts))

    def fill(values: Sequence[Any], escape: Escape | None) -> str | EvaluationError:
        found: list[str] = []
        left = iter(values)
        room = MAX_OUTPUT
        for piece in pieces:
            brought = piece if isinstance(piece, str) else piece.bring(next(left), escape)
            if isinstance(brought, EvaluationError):
                return brought
            room -= len(brought)
            if room < 0:
                return _TOO_LARGE
            found.append(brought)
        return "".join(found)

    return fill


@dataclass(frozen=True, slots=True)
class _Gap:
    """The context of a placeholder: inside JSON quotes or not, and the text for null."""

    quoted: bool
    null: str

    def bring(self, value: Any, escape: Escape | None) -> str | EvaluationError:
        if value is None:
            return "" if escape else self.null
        text = _as_text(value)
        if isinstance(text, EvaluationError):
            return text
        if escape:
            return escape(text)
        # Lone surrogates stay here: they are escaped at the end
        return json.dumps(text, ensure_ascii=False)[1:-1] if self.quoted else text


def _pieces(parts: Sequence[str | lexer.Placeholder]) -> Iterator[str | _Gap]:
    opening = parts[0] if parts and isinstance(parts[0], str) else ""
    looks_like_json = opening.lstrip().startswith(("{", "["))
    null = "null" if looks_like_json and _is_json_around(parts) else ""
    quoted = False
    for part in parts:
        if isinstance(part, str):
            quoted ^= len(_QUOTE.findall(part)) % 2 == 1  # whether its end is between double quotes
            yield part
        else:
            inside = quoted and looks_like_json
            yield _Gap(inside, "" if inside else null)


def _is_json_around(parts: Sequence[str | lexer.Placeholder]) -> bool:
    try:
        orjson.loads("".join(part if isinstance(part, str) else "0" for part in parts))
    except orjson.JSONDecodeError:
        return False
    return True


def _as_text(value: Any) -> str | EvaluationError:
    match value:
        case str():
            return value
        case bytes() | bytearray() | Decimal() | datetime():
            return table_text(value) or ""
        case _:
            return _json(value)


def _json(value: Any) -> str | EvaluationError:
    text = to_json(value)
    return EvaluationError(missing=False, detail=text.error) if isinstance(text, Answer) else text.decode()


def _bounded(text: str) -> str | EvaluationError:
    if text.isascii():
        return text if len(text) <= MAX_OUTPUT else _TOO_LARGE
    data = text.encode(errors="backslashreplace")
    return data.decode() if len(data) <= MAX_OUTPUT else _TOO_LARGE
