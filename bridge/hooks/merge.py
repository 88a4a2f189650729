"""The secrets that an answer omits, and a request so cannot repeat: they are kept unless the request changes them.

`***` or an absent secret keeps the stored one; null removes it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from bridge.core.base import plain
from bridge.core.errors import Problem
from bridge.core.target import Target
from bridge.settings.shape import tells, written
from bridge.settings.shown import HIDDEN, shown
from bridge.settings.yaml import KeyPath

Tree = Mapping[str, Any]

_READ_ONLY = frozenset({"id", "managed_by", "created_at", "updated_at", "state", "signing"})
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
