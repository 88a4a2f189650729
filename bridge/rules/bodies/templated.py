"""Bodies that a hook's own template makes."""

import json

import orjson

from bridge.model.delivery import Answer
from bridge.model.event import Event
from bridge.rules.bodies.body import JSON, Body, Build
from bridge.rules.bodies.spelling import unbuildable
from bridge.rules.routing.expression import Unanswered
from bridge.rules.routing.template import compile_template

TEXT = "text/plain; charset=utf-8"


def templated(source: str) -> Build:
    """The maker of what the template makes of an event.

    What it makes is told as JSON when it is that, otherwise as plain text. A key that the event does not have is a
    lasting answer that names it. Raises ValueError for a template that cannot be compiled.
    """
    template = compile_template(source)

    def make(event: Event) -> Body | Answer:
        text = template.render(event)
        if isinstance(text, Unanswered):
            return unbuildable(f"the template found no value: {text.detail}" if text.missing else text.detail)
        content_type = TEXT if template.is_text and not _is_json(text) else JSON
        return Body(text.encode(), content_type)

    return make


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        # It refuses lone surrogates, which publishers may have sent
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
