"""The validation of a hook from a request: all problems are reported with their paths."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bridge.checks.configuration import hook_problems
from bridge.core.errors import Problem, SettingsError
from bridge.core.hook import Hook
from bridge.core.target import ScriptTarget, WebhookTarget
from bridge.db.text import is_unicode
from bridge.hooks.merge import texts_in
from bridge.settings.loading import unknown_names
from bridge.settings.shape import explain, written
from bridge.settings.tree import Settings
from bridge.settings.yaml import KeyPath, variable_in
from bridge.targets.factory import problems, unreachable
from bridge.wire.address_gate import AddressGate

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
