"""The form of a hook: its fields, and the way between them and the hook as a tree of JSON values.

What the form has no field for stays as it is in the tree.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from bridge.core.target import TARGET_TYPES
from bridge.retry.policy import PRESETS

Kind = Literal["text", "long", "lines", "words", "number", "spans", "pairs", "flag", "choice"]
Tree = dict[str, Any]


def _(text: str) -> str:
    """Marks a text for translation."""
    return text


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its place in the hook, its label, and how its text is read."""

    path: str
    label: str
    kind: Kind = "text"
    hint: str = ""
    """What it means if it is empty."""
    example: str = ""
    choices: Sequence[str] = ()
    only: str = ""
    """The type of target that has the field."""

    @property
    def name(self) -> str:
        """Returns its name in the form."""
        return f"{self.only}:{self.path}" if self.only else self.path


_METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")
_PROFILES = (
    "standard",
    "splynx",
    "phlix",
    "plinqx",
    "tiki",
    "cockpit",
    "github",
    "stripe",
    "generic",
    "none",
)
_BODIES = ("raw", "event", "data", "form", "standard", "cloudevents", "cloudevents-binary", "template")
TYPE = Field("target.type", _("Target"), "choice", choices=TARGET_TYPES)
WHAT = (
    Field("name", _("Name"), hint=_("empty: made from the target")),
    Field("description", _("Description")),
    Field("events", _("Events: patterns, one per line"), "lines", example="orders.*"),
    Field("filter", _("Filter: a CEL expression over event"), "long", example="event.data.total > 100"),
    Field("sources", _("Sources, with blanks between them"), "words", hint=_("empty: all")),
    Field("unmatched", _("Only events that no other hook asks for"), "flag"),
)
WHERE = (
    Field("target.url", "URL", only="webhook", example="https://crm.example.net/in"),
    Field("target.method", _("Method"), "choice", choices=_METHODS, only="webhook"),
    Field("target.profile", _("Profile: body and signature"), "choice", choices=_PROFILES, only="webhook"),
    Field("target.body", _("Body"), "choice", choices=_BODIES, only="webhook"),
    Field("target.template", _("Template, for the body template"), "long", only="webhook"),
    Field("target.headers", _("Headers, one per line"), "pairs", example="X-Team: billing", only="webhook"),
    Field("target.timeout", _("Timeout"), "text", example="15s", only="webhook"),
    Field("target.queue", _("Queue"), only="queue"),
    Field("target.exchange", _("or exchange"), only="queue"),
    Field("target.routing_key", _("Routing key"), only="queue"),
    Field("target.command", _("Program and arguments, one per line"), "lines", only="script"),
    Field("target.stdin", _("Input"), "choice", choices=("data", "body", "event"), only="script"),
    Field("target.timeout", _("Timeout"), example="15s", only="script"),
    Field("target.urls", _("Services, one per line"), "lines", example="ntfy://topic", only="notify"),
    Field("target.title", _("Title"), only="notify"),
    Field("target.body", _("Message"), "long", example="{{ event.type }}", only="notify"),
)
HOW = (
    Field("retry.preset", _("Retry plan"), "choice", choices=tuple(PRESETS)),
    Field("retry.schedule", _("or waits of your own"), "spans", example="5s 5m 1h"),
    Field("retry.max_attempts", _("Attempts at most"), "number"),
    Field("retry.max_age", _("None for events older than"), example="7d"),
    Field("concurrency", _("Attempts at once, per process"), "number", example="16"),
    Field("rate", _("Attempts per second, per process"), "number", hint=_("no limit")),
)
FIELDS = (*WHAT, TYPE, *WHERE, *HOW)

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def texts_of(tree: Any) -> dict[str, str]:
    """Returns the text of each field, by its name."""
    kind = _at(tree, "target.type") or "webhook"
    found = {each.name: "" for each in FIELDS}
    for each in FIELDS:
        if each.only in {"", kind}:
            found[each.name] = _text(each, _at(tree, each.path))
    return {**found, "target.type": str(kind)}


def tree_of(base: Any, form: Mapping[str, Any]) -> Tree:
    """Returns the hook in the fields of a form over `base`, the hook that the form showed."""
    tree: Tree = deepcopy(base) if isinstance(base, dict) else {}
    kind = str(form.get("target.type", "webhook"))
    if _at(tree, "target.type") != kind or not isinstance(tree.get("target"), dict):
        tree["target"] = {"type": kind}
    for each in FIELDS:
        if each.only in {"", kind}:
            _put(tree, each.path, _value(each, str(form.get(each.name, ""))))
    if tree.get("retry") == {}:
        del tree["retry"]
    return tree


def field_of(path: str, kind: str) -> str | None:
    """Returns the name of the field that a path in the hook belongs to, None if there is none."""
    there = [each for each in FIELDS if each.only in {"", kind}]
    fitting = (each for each in there if re.fullmatch(re.escape(each.path) + r"([.\[].*)?", path))
    return next((each.name for each in fitting), None)


def _at(tree: Any, path: str) -> Any:
    for step in path.split("."):
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def _put(tree: Tree, path: str, value: Any) -> None:
    *above, last = path.split(".")
    for step in above:
        inside = tree.get(step)
        if not isinstance(inside, dict):
            inside = tree[step] = {}
        tree = inside
    if value is None:
        tree.pop(last, None)
    else:
        tree[last] = value


def _text(field: Field, value: Any) -> str:
    if value is None or value is False:
        return ""
    if isinstance(value, list):
        words = [_span(each) if field.kind == "spans" else str(each) for each in value]
        return ("\n" if field.kind == "lines" else " ").join(words)
    if isinstance(value, dict):
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    if isinstance(value, float) and field.path in {"target.timeout", "retry.max_age"}:
        return _span(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _span(seconds: Any) -> str:
    if not isinstance(seconds, int | float):
        return str(seconds)
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:g}s"


def _value(field: Field, text: str) -> Any:
    """Returns the value of a text; what is not one is left as text, so that the API says what is wrong with it."""
    text = text.replace("\r\n", "\n")
    return _READ.get(field.kind, str.strip)(text) if text.strip() else None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def _pairs(text: str) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in _lines(text))}


def _number(text: str) -> Any:
    text = text.strip()
    if re.fullmatch(r"\d{1,15}", text):
        return int(text)
    return float(text) if re.fullmatch(r"\d{1,15}\.\d{1,15}", text) else text


_READ: Mapping[Kind, Callable[[str], Any]] = {
    "long": str,
    "lines": _lines,
    "words": _words,
    "spans": _words,
    "pairs": _pairs,
    "flag": bool,
    "number": _number,
}
"""How the text of a field is read; others are texts without blanks around them."""
