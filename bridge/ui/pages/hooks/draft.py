"""A hook in the editor: what was typed, as a form or as YAML, and what is wrong with it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from bridge.bodies.exact import json_text
from bridge.core.base import plain
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook, Retry
from bridge.core.target import NotifyTarget, QueueTarget, ScriptTarget, WebhookTarget
from bridge.settings.shape import written
from bridge.settings.yaml import parse, text_of
from bridge.ui.pages.hooks.fields import field_of, texts_of, tree_of

_TARGETS: Mapping[str, type[BaseModel]] = {
    "webhook": WebhookTarget,
    "script": ScriptTarget,
    "queue": QueueTarget,
    "notify": NotifyTarget,
}
_READ_ONLY = frozenset({"id", "managed_by", "created_at", "updated_at", "state", "signing"})
_MOST = 1024 * 1024
"""Characters of a draft that are read."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: where in the hook, why, and the line and column in the YAML or the expression."""

    path: str
    reason: str
    line: int | None = None
    column: int | None = None


@dataclass(slots=True)
class Draft:
    """A hook that is being written. `text` is the YAML as it was typed, None in the form."""

    tree: Any
    text: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line of each path in the YAML."""
    faults: list[Fault] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Returns the type of the target."""
        target = self.tree.get("target") if isinstance(self.tree, dict) else None
        kind = target.get("type") if isinstance(target, dict) else None
        return kind if isinstance(kind, str) and kind in _TARGETS else "webhook"

    @property
    def yaml(self) -> str:
        """Returns the hook as YAML."""
        return text_of(self.tree) if self.text is None else self.text

    @property
    def json(self) -> str:
        """Returns the hook as JSON, for the form to carry."""
        return json_text(self.tree)

    @property
    def texts(self) -> Mapping[str, str]:
        """Returns the texts of the fields of the form."""
        return texts_of(self.tree)

    def refuse(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Adds the faults of an answer of the API."""
        for each in faults:
            name, reason = each["name"], each["reason"]
            if self.text is not None:
                self.faults.append(Fault(name, reason, self.lines.get(name)))
            elif reason.startswith("line "):
                self.faults.append(Fault(name, reason))
            else:
                self.faults.append(Fault(name, reason, each.get("line"), each.get("column")))

    @property
    def at_fields(self) -> Mapping[str, list[Fault]]:
        """Returns the faults by the names of their fields; those without a field, and all of YAML, under an empty name."""
        found: dict[str, list[Fault]] = {}
        for each in self.faults:
            name = None if self.text is not None else field_of(each.path, self.kind)
            found.setdefault(name or "", []).append(each)
        return found


def draft_of(hook: Mapping[str, Any]) -> Draft:
    """Returns the draft of a hook as the API shows it, without what is at its default."""
    tree = {name: value for name, value in hook.items() if name not in _READ_ONLY}
    model = _TARGETS[tree["target"]["type"]]
    tree["target"] = _set(model, tree["target"])
    tree["retry"] = _set(Retry, tree["retry"])
    if not tree["retry"]:
        del tree["retry"]
    return Draft(_set(Hook, tree))


def posted(form: Mapping[str, Any]) -> Draft:
    """Returns the draft in a form of the editor."""
    if form.get("mode") != "yaml":
        return Draft(tree_of(_known(str(form.get("base", ""))), form))
    text = str(form.get("yaml", "")).replace("\r\n", "\n")[:_MOST]
    draft = Draft({}, text)
    try:
        document = parse(text, "hook")
    except SettingsError as error:
        for each in error.problems:
            line, column = _place(each.where)
            draft.faults.append(Fault("", each.message, line, column))
        return draft
    draft.lines = {written(path): line for path, line in document.lines.items()}
    draft.faults = [
        Fault(written(path), reason, document.lines.get(path)) for path, reason in document.problems
    ]
    draft.tree = document.value
    if not isinstance(document.value, dict):
        draft.tree, draft.faults = {}, [Fault("", "a hook is a mapping: name, events, target", 1)]
    return draft


def _known(base: str) -> Any:
    try:
        return json.loads(base[:_MOST])
    except (ValueError, RecursionError):
        return {}


def _place(where: str) -> tuple[int | None, int | None]:
    """Returns line and column in a place such as `hook:3:5`."""
    numbers = [int(part) for part in where.split(":")[1:] if part.isdecimal()]
    return (numbers[0] if numbers else None), (numbers[1] if len(numbers) > 1 else None)


def _set(model: type[BaseModel], tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of a tree that are not the defaults of the model."""
    kept = {}
    for name, value in tree.items():
        known = model.model_fields.get(name)
        default = (
            None if known is None or known.is_required() else known.get_default(call_default_factory=True)
        )
        shown = default.model_dump() if isinstance(default, BaseModel) else plain(default)
        if known is None or known.is_required() or value != shown:
            kept[name] = value
    return kept
