"""The hook part of the API, over the hooks in force."""

import time
from dataclasses import dataclass
from pathlib import Path

from bridge.hooks.api import HookRoutes
from bridge.hooks.api_switches import HookSwitchRoutes
from bridge.hooks.service import InForce, ManageHooks
from bridge.hooks.store import SqlHooks
from bridge.hooks.switch import RotateSecrets, SwitchHooks
from bridge.hooks.validate import Grounds
from bridge.http.api import Part
from bridge.settings.tree import Settings


@dataclass(frozen=True, slots=True)
class HookDesk:
    """The use cases of hooks, and their operations."""

    in_force: InForce
    manage: ManageHooks
    switch: SwitchHooks
    rotate: RotateSecrets

    def parts(self) -> list[Part]:
        """Returns the operations under /v1/hooks."""
        return [
            HookRoutes(self.in_force, self.manage),
            HookSwitchRoutes(self.in_force, self.switch, self.rotate),
        ]


def hook_desk(
    in_force: InForce, store: SqlHooks, settings: Settings, base: Path, served: frozenset[str] | None
) -> HookDesk:
    """Returns the desk; `base`: the folder of relative paths of scripts; `served`: the target types attempted here, None for
    all.
    """
    grounds = Grounds.of(settings, base, served)
    return HookDesk(
        in_force,
        ManageHooks(store, in_force, grounds, most=settings.limits.hooks, now=time.time),
        SwitchHooks(store, in_force, time.time),
        RotateSecrets(store, in_force, time.time),
    )
