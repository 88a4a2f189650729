"""URL-encoded forms, taken apart the way PHP takes them: `data[attributes][id]=7` is an object in an object."""

import re
from typing import Any
from urllib.parse import parse_qsl

CONTENT_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 10_000
_DEEPEST = 64
_NAME = re.compile(r"([^\[]+)((?:\[[^\]]*\])+)", re.DOTALL)
_KEY = re.compile(r"\[([^\]]*)\]", re.DOTALL)


def is_form(content_type: str | None) -> bool:
    """Whether this is the content type of a form."""
    return content_type is not None and content_type.strip().lower().startswith(CONTENT_TYPE)


def form_of(body: bytes) -> dict[str, Any] | None:
    """The form's fields, every value as text; keys that count from 0 make a list.

    None for what is not UTF-8 or has over 10,000 fields. What nests deeper than 64 is a field of that name; PHP
    has the same bound.
    """
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    form: dict[str, Any] = {}
    for name, value in fields:
        _put(form, _path(name), value)
    return {name: _with_lists(value) for name, value in form.items()}


def _path(name: str) -> list[str]:
    found = _NAME.fullmatch(name)
    if found is None or found[2].count("[") > _DEEPEST:
        return [name]
    return [found[1], *_KEY.findall(found[2])]


def _put(form: dict[str, Any], path: list[str], value: str) -> None:
    for name in path[:-1]:
        key = name or str(len(form))
        inner = form.get(key)
        if not isinstance(inner, dict):
            inner = form[key] = {}
        form = inner
    form[path[-1] or str(len(form))] = value


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = [_with_lists(item) for item in value.values()]
    if "0" in value and list(value) == [str(index) for index in range(len(items))]:
        return items
    return dict(zip(value, items, strict=True))
