"""The factory of hooks' targets, and the validation of their settings."""

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
    """The factory of targets; all webhooks share its connections.

    `publishers` has the confirming publisher of each broker by name, "" for the bridge's own. `allow_private` is the
    allowlist of networks for SSRF protection. Relative paths of scripts are below the absolute `directory`.
    `on_connection` is called for each request with whether its connection was reused. `kept` bytes of an HTTP response
    are stored in the history. `adopt`: this process starts no other children than scripts, so orphaned processes of
    scripts can be adopted and killed. `rendering` renders the bodies of large events. Raises SettingsError for an
    invalid network in `allow_private`.
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
        """Returns the target of this hook. Raises SettingsError with all errors in its settings.

        A missing program is not an error here: attempts fail and are retried until it exists.
        """
        self.check(hook)
        match hook.target:
            case WebhookTarget():
                # A hook of the API is restricted by the current setting alone.
                allowed = hook.target.allow_private_targets if hook.from_file else ()
                return webhook_target.WebhookSender(
                    hook.target,
                    self._pool,
                    self._kept,
                    hook=hook.name,
                    gate=self._gate.also(allowed),
                    rendering=self._rendering,
                )
            case ScriptTarget():
                return script_target.ScriptRunner(hook.target, self._directory, self._family, self._rendering)
            case QueueTarget():
                return queue.QueuePublisher(hook.target, self._publishers[hook.target.broker or ""])
            case NotifyTarget():
                from bridge.targets.notify.target import NotifySender as Notify

                return Notify(hook.target, self._gate, hook.concurrency, hook.name, self._rendering)
            case _:
                assert_never(hook.target)

    def check(self, hook: Hook) -> None:
        """Validate the target. Raises SettingsError as `build` does."""
        if found := lasting_problems(hook, self._publishers):
            raise SettingsError(found)

    def problems(self, hook: Hook) -> list[Problem]:
        """Returns the problems of the hook with this factory's brokers and directory."""
        return problems(hook, self._directory, self._publishers)

    async def close(self) -> None:
        """Close the shared connections and kill processes that scripts left behind; attempts have ended before."""
        await self._family.close()
        await self._pool.close()


def problems(hook: Hook, directory: Path, brokers: Collection[str]) -> list[Problem]:
    """Returns all problems of a hook's target that can be found without network access.

    Paths start at the hook, such as `target.url`. `brokers` are the known names, "" for the bridge's own.
    """
    found = lasting_problems(hook, brokers)
    if isinstance(hook.target, ScriptTarget):
        found += _found(_on_this_machine(hook.target, directory))
    return found


def unreachable(hook: Hook, gate: AddressGate) -> list[Problem]:
    """Returns the addresses in the target's URLs that `gate` refuses; names are checked when they are resolved.

    They do not prevent a start: each attempt fails with the reason.
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
    """Returns `problems` without transient ones, such as a program that does not exist yet."""
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
            # Imported late, only if a hook notifies: Apprise takes a third of a second to import.
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
