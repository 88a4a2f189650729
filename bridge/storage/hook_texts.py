"""Hooks as texts of the database: what may be read there, and the target with its secrets as one sealed piece."""

import json

from pydantic import ValidationError

from bridge.model.errors import SettingsError
from bridge.model.hook import Hook, HookFault
from bridge.model.plain import plain
from bridge.ports.hooks import Ends
from bridge.settings.remainder import stand_in_target
from bridge.storage.sealing import Sealer


def document_of(hook: Hook) -> str:
    """All but the target, which may hold secrets in many places: addresses, headers, arguments."""
    written = plain(hook)
    return json.dumps(written | {"target": {"type": hook.target.type}})


def sealed_of(hook: Hook, ends: Ends, sealer: Sealer) -> bytes:
    """The target, and which of its secrets end when; raises SettingsError without a key."""
    inside = {"target": plain(hook.target), "ends": ends}
    return sealer.seal(json.dumps(inside).encode(), about(hook.id))


def hook_of(hook_id: str, name: str, document: str, sealed: bytes, sealer: Sealer) -> tuple[Hook, Ends]:
    """The hook whole; broken, with as much as can be read, where it cannot be opened or a newer version wrote it."""
    told = json.loads(document)
    fault: HookFault | None = None
    try:
        inside = json.loads(sealer.open(sealed, about(hook_id)))
    except SettingsError as error:
        fault = HookFault(error.problems[0].message, frozenset({"target"}))
        inside = {"target": stand_in_target(told["target"]["type"]), "ends": ()}
    try:
        hook = Hook.model_validate(told | {"target": inside["target"]})
    except ValidationError as error:
        reason = f"what is stored of it is none of this version's hooks: {_first(error)}"
        fault = HookFault(reason, frozenset({"sources", "events", "filter", "target"}))
        target = stand_in_target(told["target"]["type"])
        hook, inside = Hook.model_validate({"name": name, "target": target}), {"ends": ()}
    hook = hook.with_id(hook_id)
    return hook if fault is None else hook.with_fault(fault), tuple((one, end) for one, end in inside["ends"])


def _first(error: ValidationError) -> str:
    """Where it stands and what it is; without the value, which may be a secret."""
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


def about(hook_id: str) -> str:
    """What a hook's sealed piece is about: it opens for no other hook."""
    return f"hook {hook_id}"
