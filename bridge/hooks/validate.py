"""The validation of a hook from a request, with all problems and their paths, and the secrets that it keeps.

An answer omits secrets, so a request cannot repeat them: `***` or an absent secret keeps the stored one; null removes it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeGuard

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.checks.configuration import hook_problems
from bridge.core.base import plain
from bridge.core.errors import Problem, SettingsError
from bridge.core.hook import Hook
from bridge.core.target import ScriptTarget, Target, WebhookTarget
from bridge.db.rows import is_unicode
from bridge.settings.loading import unknown_names
from bridge.settings.shape import explain, tells, written
from bridge.settings.shown import HIDDEN, shown
from bridge.settings.tree import Settings
from bridge.settings.yaml import VARIABLE, KeyPath
from bridge.targets.factory import problems, unreachable
from bridge.wire.address_gate import AddressGate

Tree = Mapping[str, Any]

# The secrets that are kept unless the request changes them.


_READ_ONLY = frozenset({"id", "managed_by", "created_at", "updated_at", "state", "signing"}) | {
    "waiting", "oldest_waiting_at", "failing_since", "failed_attempts",
}  # fmt: skip
"""Members that are shown, those of lists included."""
_SECRET_LISTS = ("secrets", "urls")
_NAMED_VALUES = ("headers", "env")
_SHOWN_IN_PART = ("url", "proxy", "endpoints", "command")


def without_read_only(tree: Any) -> Any:
    """Returns the tree without read-only members, so that a hook can be sent back as it was shown."""
    return {name: part for name, part in tree.items() if name not in _READ_ONLY} if _is_tree(tree) else tree


def replaced(tree: Any, target: Target) -> Any:
    """Returns the tree of a hook that replaces one with this target, with the secrets that are kept."""
    if not _is_tree(tree) or not _is_tree(given := tree.get("target")) or given.get("type") != target.type:
        return tree
    before, seen = plain(target), shown(target)
    kept = _restored(given, before, seen)
    for name in _SECRET_LISTS:
        if name not in given and before.get(name) and given.get("profile") != "none":
            kept[name] = before[name]
    for name in _NAMED_VALUES:
        if telling := _telling(given.get(name, {}), before.get(name, {})):
            kept[name] = {**kept.get(name, {}), **telling}
        if _is_tree(kept.get(name)):
            kept[name] = {key: text for key, text in kept[name].items() if text is not None}
    if "auth" in before and before["auth"] and "auth" not in given:
        kept["auth"] = before["auth"]
    return {**tree, "target": kept}


def patched(tree: Tree, patch: Tree, target: Target) -> Any:
    """Returns the hook's tree after a merge patch (RFC 7396); a patch that changes the target's type replaces the target."""
    wanted = patch.get("target")
    if _is_tree(wanted) and wanted.get("type", target.type) != target.type:
        tree = {**tree, "target": {}}
    auth = wanted.get("auth") if _is_tree(wanted) else None
    if _is_tree(auth) and auth.get("type", _auth_type(target)) != _auth_type(target):
        tree = {**tree, "target": {**tree["target"], "auth": {}}}
    merged = _merged(tree, patch)
    if _is_tree(merged.get("target")) and merged["target"].get("type") == target.type:
        return {**merged, "target": _restored(merged["target"], plain(target), shown(target))}
    return merged


def unkept(tree: Any) -> list[Problem]:
    """Returns a problem for each `***` that is left: no stored value corresponds to it."""
    target = tree.get("target") if _is_tree(tree) else None
    if not _is_tree(target):
        return []
    sensitive = (*_SECRET_LISTS, *_NAMED_VALUES, *_SHOWN_IN_PART, "auth")
    reason = (
        f"{HIDDEN} stands for what is stored, and there is nothing stored that it could be: write it anew"
    )
    return [
        Problem(written(path), reason)
        for name in sensitive
        for path, text in texts_in(target.get(name), ("target", name))
        if _stands_for_hidden(text, name)
    ]


def _restored(given: Tree, before: Tree, seen: Tree) -> dict[str, Any]:
    """Returns `given` with the stored value in place of each `***`, and of each value that equals what was shown."""
    restored = dict(given)
    for name in _SECRET_LISTS:
        if name in given:
            restored[name] = _secrets(given[name], before.get(name) or [])
    for name in _NAMED_VALUES:
        if _is_tree(given.get(name)):
            restored[name] = _values(given[name], before.get(name) or {})
    for name in _SHOWN_IN_PART:
        if name in given and name in before:
            restored[name] = _as_shown(given[name], seen.get(name), before[name])
    if _is_tree(given.get("auth")):
        restored["auth"] = _auth(given["auth"], before.get("auth") or {})
    return restored


def _secrets(given: Any, before: list[str]) -> Any:
    """Returns the secrets with the first `***` replaced by the first stored secret, and so on."""
    if given == HIDDEN:
        return before
    if not isinstance(given, list):
        return given
    stored = iter(before)
    return [next(stored, each) if each == HIDDEN else each for each in given]


def _values(given: Tree, before: Tree) -> dict[str, Any]:
    stored = {name.lower(): text for name, text in before.items()}
    return {name: stored.get(name.lower(), text) if text == HIDDEN else text for name, text in given.items()}


def _telling(given: Any, before: Tree) -> dict[str, str]:
    """Returns the stored values that are never shown and that `given` does not name."""
    if not _is_tree(given):
        return {}
    named = {name.lower() for name in given}
    return {name: text for name, text in before.items() if tells(name, text) and name.lower() not in named}


def _auth(given: Tree, before: Tree) -> dict[str, Any]:
    """Returns the credentials; for an unchanged kind, members that are not given are kept, since none is shown."""
    if given.get("type", before.get("type")) != before.get("type"):
        return dict(given)
    named = {name: text for name, text in given.items() if text != HIDDEN or name not in before}
    return {**before, **named}


def _as_shown(given: Any, seen: Any, before: Any) -> Any:
    """Returns the stored value if `given` is its shown form, as a whole or part by part."""
    if given == seen:
        return before
    if _is_tree(given) and _is_tree(seen) and _is_tree(before):
        return {name: _as_shown(part, seen.get(name), before.get(name)) for name, part in given.items()}
    if isinstance(given, list) and isinstance(seen, list) and isinstance(before, list):
        pairs = [*zip(seen, before, strict=True)]
        return [_as_shown(part, *pairs[at]) if at < len(pairs) else part for at, part in enumerate(given)]
    return given


def _merged(tree: Any, patch: Any) -> Any:
    """Returns the result of a merge patch (RFC 7396, section 2)."""
    if not _is_tree(patch):
        return patch
    merged = dict(tree) if _is_tree(tree) else {}
    for name, part in patch.items():
        if part is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), part)
    return merged


def _auth_type(target: Target) -> str | None:
    auth = getattr(target, "auth", None)
    return None if auth is None else auth.type


def texts_in(part: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yields each text in a tree, with its path."""
    if isinstance(part, str):
        yield path, part
    inside: Any = part.items() if _is_tree(part) else enumerate(part) if isinstance(part, list) else ()
    for step, each in inside:
        yield from texts_in(each, (*path, step))


def _stands_for_hidden(text: str, name: str) -> bool:
    if name in {"url", "proxy", "endpoints"}:
        return HIDDEN in text
    if name == "command":
        return text.endswith(HIDDEN)
    return text == HIDDEN


def _is_tree(value: Any) -> TypeGuard[Tree]:
    return isinstance(value, Mapping)


# The validation.


_STAND_IN = {"name": "left-out", "target": {"type": "queue", "queue": "left-out"}}
_MOST_PROBLEMS = 100
_READ = frozenset({"auth", "endpoints", "env", "headers", "proxy", "secrets", "url", "urls"})
"""The parts of a target in which a file replaces `${NAME}` from the environment; elsewhere, as in a shell command, it may be
literal.
"""


@dataclass(frozen=True, slots=True)
class Grounds:
    """The context in which hooks of the API are validated."""

    sources: Sequence[str]
    brokers: Sequence[str]
    """The names of the other brokers."""
    gate: AddressGate
    directory: FilePath
    """The folder of relative paths of scripts."""
    consumer_timeout: float
    """The consumer timeout of the broker in seconds."""
    allow_scripts: bool
    served: frozenset[str] | None
    """The types of targets whose files and programs are on this machine; None: all."""

    @classmethod
    def of(cls, settings: Settings, directory: FilePath, served: frozenset[str] | None) -> "Grounds":
        """Returns the context of a running bridge."""
        return cls(
            sources=[source.name for source in settings.sources],
            brokers=list(settings.brokers),
            gate=AddressGate([str(network) for network in settings.http.allow_private_targets]),
            directory=directory,
            consumer_timeout=settings.broker.consumer_timeout,
            allow_scripts=settings.http.allow_scripts,
            served=served,
        )


def hook_of(tree: Any, grounds: Grounds) -> Hook:
    """Returns the hook in the tree; raises SettingsError with all problems. Contacts nothing.

    Callers of the API must not read the environment. So `${NAME}` would be literal text, and thus a key that anybody knows: it
    is refused where it is unlikely to be meant literally.
    """
    found = [*_not_unicode(tree, ()), *_variables(tree)]
    if not found:
        hook, found = _validated(tree)
        if hook is not None and not found:
            found = list(_of_sound(hook, grounds))
            if not found:
                return hook
        elif hook is not None:
            found += [each for each in _of_sound(hook, grounds) if _new(each, found)]
    once = {problem.path: problem for problem in reversed(found)}
    raise SettingsError(list(reversed(once.values()))[:_MOST_PROBLEMS])


def draft_of(tree: Any, grounds: Grounds) -> tuple[Hook | None, list[Problem]]:
    """Returns the hook in the tree, and its problems; with problems a hook of its valid parts, None if there are too few."""
    found: Sequence[Problem] = unkept(tree)
    if not found:
        try:
            return hook_of(tree, grounds), []
        except SettingsError as error:
            found = error.problems
    return _validated(tree)[0], list(found)


def _validated(tree: Any) -> tuple[Hook | None, list[Problem]]:
    """Returns the hook; if it is not valid, its problems, and a hook of its valid parts."""
    try:
        return Hook.model_validate_json(json.dumps(tree), strict=True), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    found: dict[str, Problem] = {}
    for each in errors:
        path, reason = explain(Hook, each, ())
        found.setdefault(written(path), Problem(written(path), reason))
    return _remainder(tree, errors), list(found.values())


def _remainder(tree: Any, errors: Sequence[ErrorDetails]) -> Hook | None:
    """Returns the valid parts with stand-ins for the rest, so that their further problems are reported at the same time."""
    if not isinstance(tree, Mapping):
        return None
    bad = {each["loc"][0] for each in errors if each["loc"]}
    sound = {name: part for name, part in tree.items() if name not in bad}
    try:
        return Hook.model_validate_json(json.dumps(_STAND_IN | sound), strict=True)
    except ValidationError:
        return None


def _new(problem: Problem, found: Sequence[Problem]) -> bool:
    """Returns whether the problem is about a part of the hook that has no problem yet."""
    parts = {each.path.partition(".")[0].partition("[")[0] for each in found}
    return problem.path.partition(".")[0].partition("[")[0] not in parts


def _of_sound(hook: Hook, grounds: Grounds) -> Iterator[Problem]:
    for path, reason in unknown_names(hook, grounds.sources, grounds.brokers):
        yield Problem(written(path), reason)
    yield from hook_problems(hook, grounds.consumer_timeout)
    if isinstance(hook.target, ScriptTarget) and not grounds.allow_scripts:
        yield Problem(
            "target.type",
            "scripts run on the bridge's own machine, so hooks with one are written in its file; the setting "
            "http.allow_scripts lets the API make them too",
        )
    elif grounds.served is None or hook.target.type in grounds.served:
        yield from problems(hook, grounds.directory, {"", *grounds.brokers, _broker(hook)})
    yield from unreachable(hook, grounds.gate)
    yield from _opening(hook, grounds.gate)


def _opening(hook: Hook, gate: AddressGate) -> Iterator[Problem]:
    """Yields a problem for each network that the hook would allow for itself: only the file may do that."""
    networks = hook.target.allow_private_targets if isinstance(hook.target, WebhookTarget) else ()
    for index, network in enumerate(networks):
        if not gate.covers(network):
            yield Problem(
                f"target.allow_private_targets[{index}]",
                f"{network} is not within http.allow_private_targets; only a hook in the file may reach further",
            )


def _broker(hook: Hook) -> str:
    """Returns the name of the broker of the hook; an unknown broker is reported elsewhere."""
    return getattr(hook.target, "broker", None) or ""


def _variables(tree: Any) -> Iterator[Problem]:
    target = tree.get("target") if isinstance(tree, Mapping) else None
    read = (
        {name: part for name, part in target.items() if name in _READ} if isinstance(target, Mapping) else {}
    )
    for path, text in texts_in(read, ("target",)):
        if (variable := variable_in(text)) is not None:
            yield Problem(written(path), not_read(variable))


def variable_in(text: str) -> str | None:
    """Returns the first `${NAME}` in a text, as written."""
    found = VARIABLE.search(text)
    return f"${{{found[1]}}}" if found else None


def not_read(variable: str) -> str:
    """Returns the text that explains why `${NAME}` is refused."""
    return (
        f"{variable} is not read from the environment here, only in the bridge's file; send the value itself, or use "
        "`amqp-bridge hooks create -f`, which fills it in from the environment of the command"
    )


def _not_unicode(tree: Any, path: KeyPath) -> Iterator[Problem]:
    """Yields texts and keys with an unpaired surrogate, which neither UTF-8 nor the database can encode."""
    if isinstance(tree, str):
        if not is_unicode(tree):
            yield Problem(written(path), "holds half of a surrogate pair, which is no text")
    elif isinstance(tree, Mapping):
        for name, part in tree.items():
            if is_unicode(name):
                yield from _not_unicode(part, (*path, name))
            else:
                yield Problem(written(path), "a key holds half of a surrogate pair, which is no text")
    elif isinstance(tree, list):
        for index, part in enumerate(tree):
            yield from _not_unicode(part, (*path, index))
