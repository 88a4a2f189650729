"""Hooks as texts of the database: what may be read there, and the target with its secrets as one sealed piece."""

import json

from bridge.model.hook import Hook
from bridge.model.plain import plain
from bridge.ports.hooks import Ends
from bridge.storage.sealing import Sealer


def document_of(hook: Hook) -> str:
    """All but the target, which may hold secrets in many places: addresses, headers, arguments."""
    written = plain(hook)
    return json.dumps(written | {"target": {"type": hook.target.type}})


def sealed_of(hook: Hook, ends: Ends, sealer: Sealer) -> bytes:
    """The target, and which of its secrets end when; raises SettingsError without a key."""
    inside = {"target": plain(hook.target), "ends": ends}
    return sealer.seal(json.dumps(inside).encode(), about(hook.id))


def hook_of(hook_id: str, document: str, sealed: bytes, sealer: Sealer) -> tuple[Hook, Ends]:
    """The hook whole; raises SettingsError where it cannot be opened."""
    inside = json.loads(sealer.open(sealed, about(hook_id)))
    hook = Hook.model_validate(json.loads(document) | {"target": inside["target"]})
    return hook.with_id(hook_id), tuple((secret, end) for secret, end in inside["ends"])


def about(hook_id: str) -> str:
    """What a hook's sealed piece is about: it opens for no other hook."""
    return f"hook {hook_id}"
