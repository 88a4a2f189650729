"""Form bodies in the encoding of PHP's `http_build_query`, and bodies of templates.

Source: ext/standard/http.c and php_url_encode in ext/standard/url.c of PHP; Splynx posts its webhooks this way.
"""

import json
from typing import Any
from urllib.parse import quote_plus

import orjson

from bridge.bodies.body import JSON, Body, Build, has_data, whole_body, why_no_data
from bridge.bodies.exact import php_float, unbuildable
from bridge.bodies.profiles import is_envelope, with_type
from bridge.core.delivery import Answer
from bridge.core.event import Event
from bridge.expressions.engine import EvaluationError
from bridge.expressions.template import compile_template
from bridge.formats.forms import CONTENT_TYPE


def form(event: Event) -> Body | Answer:
    """Returns the event's data, an object, as a form."""
    if not has_data(event):
        return unbuildable(f"{why_no_data(event)}, so there is no data to make a form of; choose `body: raw`")
    return _form(event.data)


def splynx_form(event: Event) -> Body | Answer:
    """Returns a Splynx envelope as Splynx's own webhooks post it: whole, with an empty `type` set to `event`; the
    data of other events are wrapped in an envelope.
    """
    if not has_data(event):
        return form(event)
    envelope = whole_body(event)
    return _form(
        with_type(envelope if is_envelope(envelope, event.format) else {"type": "", "data": event.data})
    )


def php_form(fields: dict[Any, Any]) -> bytes:
    """Returns `fields` as a query: `a%5Bb%5D%5B0%5D=1&c=x+y`.

    Nulls and empty lists and objects are omitted, true and false are 1 and 0. Floats have the shortest digits that
    round-trip, as with `precision` -1, where PHP's default rounds to 14 digits; integers beyond 64 bits keep their
    digits.
    """
    pairs = []
    waiting: list[tuple[str | None, Any]] = [(None, fields)]
    while waiting:  # iterative: the parser nests deeper than Python recurses
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(reversed([(_below(name, key), each) for key, each in value.items()]))
        elif isinstance(value, (list, tuple)):
            waiting.extend(reversed([(_below(name, key), each) for key, each in enumerate(value)]))
        elif value is not None:
            pairs.append(f"{name}={_encoded(_scalar(value))}")
    return "&".join(pairs).encode()


def _form(fields: Any) -> Body | Answer:
    if not isinstance(fields, dict):
        what = "a list" if isinstance(fields, list) else "no object"
        return unbuildable(f"the data is {what}, and a form has named fields; choose `body: data` or `raw`")
    return Body(php_form(fields), CONTENT_TYPE)


def _below(name: str | None, key: object) -> str:
    part = _encoded(str(key))
    return part if name is None else f"{name}%5B{part}%5D"


def _scalar(value: Any) -> str | bytes:
    match value:
        case str() | bytes():
            return value
        case bool():
            return "1" if value else "0"
        case float():
            return php_float(value, "E")
        case _:
            return str(value)


def _encoded(text: str | bytes) -> str:
    data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
    return quote_plus(data).replace("~", "%7E")


# Bodies from a hook's template.


TEXT = "text/plain; charset=utf-8"


def templated(source: str) -> Build:
    """Returns the function that builds bodies from the template.

    The content type is JSON if the result is JSON, otherwise plain text. A missing key gives a permanent Answer that
    names it. Raises ValueError for a template that cannot be compiled.
    """
    template = compile_template(source)

    def make(event: Event) -> Body | Answer:
        text = template.render(event)
        if isinstance(text, EvaluationError):
            return unbuildable(f"the template found no value: {text.detail}" if text.missing else text.detail)
        content_type = TEXT if template.is_text and not _is_json(text) else JSON
        return Body(text.encode(), content_type)

    return make


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        # orjson rejects lone surrogates, which publishers may send
        return "\\ud" in text and _is_lenient_json(text)
    return True


def _is_lenient_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)
