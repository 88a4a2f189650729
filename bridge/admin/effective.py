"""Which hooks are to be in force: those of the file and those of the API, with what was said of them."""

from collections.abc import Callable, Mapping, Sequence

from bridge.model.hook import Hook, HookFault
from bridge.model.value import value
from bridge.ports.history import HookState
from bridge.ports.hooks import StoredHook, StoredHooks


@value(frozen=True, slots=True)
class Effective:
    """What follows from file and database at a moment, `revision` of the latter."""

    revision: int
    routed: tuple[Hook, ...]
    """Those that events are matched with; broken ones with all that they may ask for."""
    draining: tuple[Hook, ...]
    """Those that match nothing more, but whose lanes are served."""
    deleted: Mapping[str, str]
    """Those that nothing is delivered to any more, by id, with the type of target; empty where it is not known."""
    left_out: tuple[tuple[Hook, str], ...]
    """Those of the API that cannot be in force, and why."""


def effective(
    written: Sequence[Hook],
    stored: StoredHooks,
    states: Mapping[str, HookState],
    fault_of: Callable[[StoredHook], HookFault | None],
    now: float,
) -> Effective:
    """`written`: the hooks of the file; `fault_of` says why one of the API cannot be served here, None: it can."""
    taken = {hook.name for hook in written}
    routed = [_said(hook, states).widened() for hook in written]
    draining: list[Hook] = []
    deleted = dict.fromkeys(stored.gone, "")
    left_out: list[tuple[Hook, str]] = []
    for each in stored.hooks:
        hook = each.hook
        if each.deleting in {"drop", "gone"}:
            deleted[hook.id] = hook.target.type
            continue
        fault = fault_of(each)
        wanted = _said(each.live(now) if fault is None else each.live(now).with_fault(fault), states)
        if each.deleting == "drain":
            draining.append(wanted)
        elif hook.name in taken:
            left_out.append((hook, f"the file has a hook named {hook.name!r}, which goes first"))
        else:
            routed.append(wanted.widened())
    return Effective(stored.revision, tuple(routed), tuple(draining), deleted, tuple(left_out))


def _said(hook: Hook, states: Mapping[str, HookState]) -> Hook:
    state = states.get(hook.id)
    return hook if state is None else state.over(hook)
