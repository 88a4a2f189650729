"""Targets for hooks, and what is wrong with the ones that cannot be built."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import assert_never

from bridge.core.budget import Budget
from bridge.core.errors import Problem, SettingsError
from bridge.core.hook import Hook
from bridge.core.ports import Publisher, Target
from bridge.core.target import NotifyTarget, QueueTarget, ScriptTarget, WebhookTarget
from bridge.targets import queue
from bridge.targets.evidence import Rendering
from bridge.targets.script import target as script_target
from bridge.targets.script.reaper import ProcessReaper
from bridge.targets.webhook import target as webhook_target
from bridge.targets.webhook.address import Check, address_checks, webhook_checks
from bridge.targets.webhook.pool import Pool
from bridge.targets.webhook.response import KEPT
from bridge.wire.address_gate import AddressGate


class Targets:
    """Builds targets; all webhooks share its connections.

    `publishers` has the confirmed publisher of every broker by name, "" for the bridge's own. `allow_private`
    are the networks that the address gate lets through. Relative paths of scripts are below `directory`,
    an absolute one. `on_connection` is told for every request whether its connection was used before. `kept` bytes
    of an HTTP answer go into the history. `adopt`: this process starts nothing but scripts, so that what they leave
    behind can be given to it, and be ended. `rendering` makes the bodies of large events.
    Raises SettingsError when `allow_private` holds something that is no network.
    """

    def __init__(
        self,
        publishers: Mapping[str, Publisher],
        allow_private: Sequence[str],
        directory: Path,
        on_connection: Callable[[bool], None],
        kept: int = KEPT,
        *,
        adopt: bool = False,
        rendering: Rendering | None = None,
    ) -> None:
        self._rendering = rendering or Rendering(Budget())
        self._publishers = publishers
        self._kept = kept
        self._directory = directory
        try:
            gate = AddressGate(allow_private)
        except ValueError as error:
            raise SettingsError([Problem("http.allow_private_targets", str(error))]) from None
        self._gate = gate
        self._pool = Pool(gate, on_connection)
        self._family = ProcessReaper(adopt=adopt)

    def build(self, hook: Hook) -> Target:
        """The target of this hook. Raises SettingsError with all that is wrong in its settings.

        A program that does not exist yet is not an error here: attempts fail and are retried until it does.
        """
        self.check(hook)
        match hook.target:
            case WebhookTarget():
                gate = self._gate_of(hook, hook.target)
                return webhook_target.WebhookTarget(
                    hook.target, self._pool, self._kept, hook=hook.name, gate=gate, rendering=self._rendering
                )
            case ScriptTarget():
                return script_target.ScriptTarget(hook.target, self._directory, self._family, self._rendering)
            case QueueTarget():
                return queue.QueueTarget(hook.target, self._publishers[hook.target.broker or ""])
            case NotifyTarget():
                from bridge.targets.notify.target import NotifyTarget as Notify

                return Notify(hook.target, self._gate, hook.concurrency, hook.name, self._rendering)
            case _:
                assert_never(hook.target)

    def _gate_of(self, hook: Hook, target: WebhookTarget) -> AddressGate:
        """What of a hook made through the API may be reached is for the setting of today alone to say."""
        return self._gate.also(target.allow_private_targets) if hook.from_file else self._gate

    def check(self, hook: Hook) -> None:
        """Raises SettingsError as `build` does."""
        if found := lasting_problems(hook, self._publishers):
            raise SettingsError(found)

    def problems(self, hook: Hook) -> list[Problem]:
        """As `problems`, with this object's brokers and directory."""
        return problems(hook, self._directory, self._publishers)

    async def close(self) -> None:
        """Close the shared connections, end what scripts left behind; attempts have ended before."""
        await self._family.close()
        await self._pool.close()


def problems(hook: Hook, directory: Path, brokers: Collection[str]) -> list[Problem]:
    """All that is wrong with a hook's target as far as this machine shows, without any network.

    Paths start at the hook, such as `target.url`. `brokers` are the known names, "" for the bridge's own.
    """
    found = lasting_problems(hook, brokers)
    if isinstance(hook.target, ScriptTarget):
        found += _found(_on_this_machine(hook.target, directory))
    return found


def unreachable(hook: Hook, gate: AddressGate) -> list[Problem]:
    """Addresses in the target's URLs that `gate` refuses; names are judged when they are dialled.

    Not among the problems: the bridge runs all the same, and each attempt says so.
    """
    match hook.target:
        case WebhookTarget():
            return list(_found(list(address_checks(hook.target, gate))))
        case NotifyTarget():
            from bridge.targets.notify.target import notify_addresses

            return list(_found(list(notify_addresses(hook.target, gate))))
        case ScriptTarget() | QueueTarget():
            return []
        case _:
            assert_never(hook.target)


def lasting_problems(hook: Hook, brokers: Collection[str]) -> list[Problem]:
    """As `problems`, without what may come right by itself, such as a program that is not there yet."""
    return list(_found(_checks(hook, brokers)))


def _found(checks: Sequence[Check]) -> Iterator[Problem]:
    for path, check in checks:
        try:
            check()
        except ValueError as error:
            yield Problem(path, str(error))


def _checks(hook: Hook, brokers: Collection[str]) -> list[Check]:
    match hook.target:
        case WebhookTarget():
            return list(webhook_checks(hook.target))
        case ScriptTarget():
            return _script(hook.target)
        case QueueTarget():
            return _queue(hook.target, brokers)
        case NotifyTarget():
            # Apprise takes a third of a second to import, so only where a hook notifies.
            from bridge.targets.notify.target import notify_checks

            return list(notify_checks(hook.target))
        case _:
            assert_never(hook.target)


def _script(settings: ScriptTarget) -> list[Check]:
    return [
        ("target.command", lambda: script_target.check_arguments(settings)),
        ("target.env", lambda: script_target.check_env(settings)),
        ("target.user", lambda: script_target.identity_of(settings.user)),
        ("target.limits", lambda: script_target.check_limits(settings)),
    ]


def _on_this_machine(settings: ScriptTarget, directory: Path) -> list[Check]:
    return [
        ("target.command", lambda: script_target.check_command(settings, directory)),
        ("target.cwd", lambda: script_target.check_directory(settings, directory)),
    ]


def _queue(settings: QueueTarget, brokers: Collection[str]) -> list[Check]:
    def check_broker() -> None:
        if (settings.broker or "") not in brokers:
            raise ValueError(f"no broker {settings.broker!r} under `brokers`")

    return [
        ("target.broker", check_broker),
        ("target.queue", lambda: queue.check_routing(settings)),
        ("target.headers", lambda: queue.check_own_headers(settings)),
    ]
