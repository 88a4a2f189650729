"""Hooks that were created through the API, and the port that stores them."""

from collections.abc import Sequence
from typing import Literal

from bridge.core.base import value
from bridge.core.hook import Hook
from bridge.core.target import WebhookTarget

Deleting = Literal["", "drain", "drop", "gone"]
"""The stage of a hook's deletion. drain: it matches no new events, waiting events are still delivered; drop:
waiting deliveries become FAILED `hook_deleted`; gone: its lane is deleted, and the row remains so that late copies
are recognized."""

Ends = tuple[tuple[str, float], ...]
"""Replaced secrets in the clear, each with the Unix time at which it expires."""


@value(frozen=True, slots=True)
class StoredHook:
    """A hook of the API as stored, with its secrets in the clear. `version` rises with each change (the ETag);
    `revision` is the table's revision at the last change. Times are in Unix seconds.

    `ends` are replaced secrets that keep signing beside the new one until they expire.
    """

    hook: Hook
    version: int
    revision: int
    created_at: float
    updated_at: float
    deleting: Deleting = ""
    ends: Ends = ()

    def live(self, now: float) -> Hook:
        """Returns the hook to serve at `now`: without expired secrets."""
        over = {secret for secret, end in self.ends if end <= now}
        target = self.hook.target
        if not over or not isinstance(target, WebhookTarget):
            return self.hook
        secrets = [secret for secret in target.secrets if secret.get_secret_value() not in over]
        return self.hook.model_copy(update={"target": target.model_copy(update={"secrets": secrets})})

    def next_end(self, now: float) -> float | None:
        """Returns the time at which `live` changes next; None: never."""
        return min((end for _, end in self.ends if end > now), default=None)


@value(frozen=True, slots=True)
class StoredHooks:
    """All stored hooks, those being deleted included; `revision` rises with each change of a hook or of an
    override. `gone` are the ids of hooks whose lanes are deleted.
    """

    revision: int
    hooks: Sequence[StoredHook]
    gone: frozenset[str] = frozenset()


class NameTaken(Exception):
    """Another hook has this name."""


class Overtaken(Exception):
    """The hook was changed by another request, or is gone."""


class TooMany(Exception):
    """The maximum number of hooks is stored."""
