"""Templates: text with `{{ CEL }}` placeholders, or a CEL expression whose value is serialized as JSON."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson

from bridge.bodies.exact import table_text, to_json
from bridge.core.delivery import Answer
from bridge.core.event import Event
from bridge.expressions.engine import EvaluationError, compile_expression
from bridge.expressions.lexer import (
    ListLiteral,
    Literal,
    MapLiteral,
    Placeholder,
    literal,
    plain_text,
    position,
    split_text,
)
from bridge.expressions.placeholders import CompiledPlaceholders

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
    parts = split_text(source)
    placeholders = [part for part in parts if isinstance(part, Placeholder)]
    slots = CompiledPlaceholders(
        [(placeholder.expression, *position(source, placeholder.start)) for placeholder in placeholders]
    )
    return Template(source, slots, _text_filler(parts), is_text=True)


def _expression_template(source: str) -> Template:
    compile_expression(source, costed=True)
    expressions: list[str] = []
    pick = _picker(literal(source), expressions)
    slots = CompiledPlaceholders([(expression, 1, 1) for expression in expressions])

    def fill(values: Sequence[Any], _escape: Escape | None) -> str | EvaluationError:
        return _json(pick(values))

    return Template(source, slots, fill, is_text=False)


def _picker(tree: Literal, expressions: list[str]) -> Pick:
    """Returns a function that rebuilds a literal from the values of its expressions, appended to `expressions`."""
    match tree:
        case MapLiteral(entries):
            _check_keys([key for key, _ in entries])
            pairs = [(_key_picker(key, expressions), _picker(value, expressions)) for key, value in entries]
            return lambda values: {key(values): value(values) for key, value in pairs}
        case ListLiteral(items):
            picks = [_picker(item, expressions) for item in items]
            return lambda values: [pick(values) for pick in picks]
        case str():
            expressions.append(tree)
            return itemgetter(len(expressions) - 1)


def _key_picker(key: str, expressions: list[str]) -> Pick:
    if (text := plain_text(key)) is not None:
        return lambda _values: text
    pick = _picker(key, expressions)
    return lambda values: _as_text(pick(values))


def _check_keys(keys: list[str]) -> None:
    known: set[str] = set()
    for text in map(plain_text, keys):
        if text in known:
            raise ValueError(f"the key {text!r} stands twice in a map")
        if text is not None:
            known.add(text)


def _text_filler(parts: Sequence[str | Placeholder]) -> Fill:
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


def _pieces(parts: Sequence[str | Placeholder]) -> Iterator[str | _Gap]:
    opening = parts[0] if parts and isinstance(parts[0], str) else ""
    looks_like_json = opening.lstrip().startswith(("{", "["))
    null = "null" if looks_like_json and _is_json_around(parts) else ""
    quoted = False
    for part in parts:
        if isinstance(part, str):
            quoted = _in_quotes(part, quoted)
            yield part
        else:
            inside = quoted and looks_like_json
            yield _Gap(inside, "" if inside else null)


def _in_quotes(text: str, quoted: bool) -> bool:
    """Returns whether the end of `text` is between double quotes; `quoted`: its beginning is."""
    return quoted ^ (len(_QUOTE.findall(text)) % 2 == 1)


def _is_json_around(parts: Sequence[str | Placeholder]) -> bool:
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
