"""The webhooks of Phlix's admin API: hooks with a webhook target of the profile `phlix`.

Source: detain/phlix-server `WebhookAdminController` and `WebhookDispatcher`, which also define each number.
"""

import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID, uuid5

from bridge.core.delivery import Status
from bridge.core.hook import Hook, NameTaken
from bridge.core.records import DeliveryFilter, HookHealth, KnownAttempt, KnownDelivery
from bridge.core.target import WebhookTarget
from bridge.deliveries.service import NotNow
from bridge.history.history import SqlHistory
from bridge.hooks.api_switches import Testing
from bridge.hooks.presenter import SeenHook, seen_hook, seen_hooks
from bridge.hooks.service import InForce, ManageHooks, NoSuchHook, free_name
from bridge.phlix.documents import DispatchFailure, DispatchResult, DispatchRow, RegisteredWebhook, WebhookRow
from bridge.settings.shown import without_password

Tree = Mapping[str, Any]
Health = Callable[[Sequence[str]], Awaitable[Mapping[str, HookHealth]]]

_PROFILE = "phlix"
_TIMEOUT = 5
"""The timeouts of an attempt and of connecting in Phlix, in seconds."""
_IDS = UUID("6f2c9a52-1d0e-5b0a-9c52-7f5c1a3f6d11")
"""The namespace of webhooks' ids, which must never change."""
_TEST = "webhook.test"
_LONGEST_NAME = 60
_TRIES = 5


@lru_cache(maxsize=10_000)
def webhook_id(hook_id: str) -> str:
    """Returns the UUID by which Phlix's clients know a hook."""
    return str(uuid5(_IDS, hook_id))


def is_webhook(hook: Hook) -> bool:
    """Returns whether these routes include the hook."""
    return isinstance(hook.target, WebhookTarget) and hook.target.profile == _PROFILE


class PhlixWebhooks:
    """The service behind Phlix's admin API. Requests are parsed JSON, validated as all hooks are.

    Methods raise as ManageHooks does, with NoSuchHook for an unknown id; paths of problems are those of a hook.
    """

    def __init__(self, in_force: InForce, manage: ManageHooks, testing: Testing, health: Health) -> None:
        """Prepare the service; `health` has the hooks' recent results."""
        self._in_force = in_force
        self._manage = manage
        self._testing = testing
        self._health = health

    async def rows(self) -> list[WebhookRow]:
        """Returns all webhooks, those of the file first, then the oldest first."""
        webhooks = sorted(self._all(), key=lambda seen: seen.stored.created_at if seen.stored else 0.0)
        health = await self._health([seen.hook.id for seen in webhooks])
        return [_row(seen, health.get(seen.hook.id)) for seen in webhooks]

    async def row(self, hook_id: str) -> WebhookRow:
        """Returns one webhook, by the hook's own id."""
        seen = seen_hook(self._in_force, hook_id)
        if seen is None:
            raise NoSuchHook
        return _row(seen, (await self._health([hook_id])).get(hook_id))

    def hook(self, which: str) -> Hook:
        """Returns the hook of the webhook with this id."""
        return self._seen(which).hook

    def hooks(self) -> dict[str, Hook]:
        """Returns the hooks of all webhooks, by their own ids."""
        return {seen.hook.id: seen.hook for seen in self._all()}

    async def register(
        self, name: str, url: str, secret: str, events: Sequence[str]
    ) -> tuple[Hook, RegisteredWebhook]:
        """Create a webhook and activate it."""
        target = {
            "type": "webhook",
            "profile": _PROFILE,
            "url": url,
            "secrets": [secret],
            "timeout": _TIMEOUT,
            "connect_timeout": _TIMEOUT,
        }
        tree = {
            "description": name,
            "events": list(events),
            "retry": {"preset": _PROFILE},
            "target": target,
        }
        hook = await self._create(tree, slug(name))
        return hook, _registered(hook)

    async def change(self, which: str, changes: Tree) -> Hook:
        """Change those of `name`, `url`, `secret` and `events` that are given."""
        hook = self.hook(which)
        named = {"name": "description", "events": "events"}
        patch: dict[str, Any] = {named[name]: changes[name] for name in named if name in changes}
        target: dict[str, Any] = {"url": changes["url"]} if "url" in changes else {}
        if changes.get("secret"):
            target["secrets"] = [changes["secret"]]
        stored = await self._manage.patch(hook.id, {**patch, "target": target} if target else patch)
        return stored.hook

    async def remove(self, which: str) -> Hook:
        """Delete the webhook and drop its waiting deliveries, because Phlix keeps none."""
        hook = self.hook(which)
        await self._manage.delete(hook.id, "drop")
        return hook

    async def test(self, which: str) -> DispatchResult:
        """Sends the event `webhook.test`, whatever the patterns; for an inactive webhook it fails without a request."""
        seen = self._seen(which)
        error = await self._tested(seen) if _is_active(seen) else "the webhook is inactive"
        failure = DispatchFailure(webhook_id=webhook_id(seen.hook.id), url=shown_url(seen.hook), error=error)
        return DispatchResult(
            success=not error,
            success_count=int(not error),
            failure_count=int(bool(error)),
            failures=[failure] if error else [],
        )

    async def _tested(self, seen: SeenHook) -> str:
        """Returns why the test failed; empty: it succeeded."""
        data = {"message": "This is a test webhook event", "webhook_id": webhook_id(seen.hook.id)}
        try:
            _, tested = await self._testing.test(seen.hook.id, _TEST, data)
        except NotNow as error:
            return str(error)
        return "" if tested.delivered else tested.error or tested.outcome

    async def _create(self, tree: Tree, name: str) -> Hook:
        taken = {seen.hook.name for seen in seen_hooks(self._in_force)}
        for _ in range(_TRIES):
            free = free_name(name, taken)
            try:
                return (await self._manage.create({"name": free, **tree})).hook
            except NameTaken:
                taken.add(free)  # lost a race: another request or replica created it first
        raise NameTaken

    def _all(self) -> list[SeenHook]:
        return [
            seen
            for seen in seen_hooks(self._in_force)
            if is_webhook(seen.hook) and not (seen.stored is not None and seen.stored.deleting)
        ]

    def _seen(self, which: str) -> SeenHook:
        found = next((seen for seen in self._all() if webhook_id(seen.hook.id) == which.lower()), None)
        if found is None:
            raise NoSuchHook
        return found


def slug(name: str) -> str:
    """Returns a hook name derived from a webhook's name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LONGEST_NAME].strip("-") or "webhook"


def moment(at: float) -> str:
    """Returns the time in MySQL's format, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _is_active(seen: SeenHook) -> bool:
    return seen.hook.enabled and not seen.paused


def shown_url(hook: Hook) -> str:
    """Returns the URL with passwords hidden."""
    assert isinstance(hook.target, WebhookTarget)
    return without_password(hook.target.url)


def _registered(hook: Hook) -> RegisteredWebhook:
    return RegisteredWebhook(
        id=webhook_id(hook.id), name=hook.description or hook.name, url=shown_url(hook), events=hook.events
    )


def _row(seen: SeenHook, health: HookHealth | None) -> WebhookRow:
    last = None if health is None else health.last_success_at
    return WebhookRow(
        **_registered(seen.hook).model_dump(),
        is_active=_is_active(seen),
        created_at=None if seen.stored is None else moment(seen.stored.created_at),
        last_triggered_at=None if last is None else moment(last),
        failure_count=0 if health is None else health.failed_deliveries,
    )


# Deliveries to webhooks, in the combined form of Phlix's dispatch log and delivery records.


MOST = 50
"""Maximum rows of one response: each is read with its attempts."""

_STATUS: Mapping[Status, Literal["pending", "delivered", "failed"]] = {
    Status.PENDING: "pending",
    Status.RETRYING: "pending",
    Status.SUCCESS: "delivered",
    Status.FAILED: "failed",
    Status.SKIPPED: "failed",
}


async def dispatches_to(records: SqlHistory, hook: Hook, event_id: str | None) -> list[DispatchRow]:
    """Returns the latest deliveries of a webhook, or those of one event. Raises HistoryUnavailable."""
    return await _rows(records, DeliveryFilter(hook=hook.id, event_id=event_id), {hook.id: hook})


async def dispatches_of(records: SqlHistory, hooks: Mapping[str, Hook], event_id: str) -> list[DispatchRow]:
    """Returns the deliveries of an event to these hooks, by their ids. Raises HistoryUnavailable."""
    return await _rows(records, DeliveryFilter(event_id=event_id), hooks)


async def _rows(records: SqlHistory, which: DeliveryFilter, hooks: Mapping[str, Hook]) -> list[DispatchRow]:
    page = await records.deliveries(which, after=None, limit=MOST)
    rows = []
    for known in page.items:
        if (hook := hooks.get(known.hook)) is not None:
            delivery, attempts = await records.delivery(known.id) or (known, ())
            rows.append(_dispatch_row(delivery, attempts, hook))
    return rows


def _dispatch_row(known: KnownDelivery, attempts: Sequence[KnownAttempt], hook: Hook) -> DispatchRow:
    last = attempts[-1] if attempts else None
    delivered = known.status is Status.SUCCESS
    return DispatchRow(
        id=known.id,
        webhook_id=webhook_id(hook.id),
        webhook_url=shown_url(hook),
        event_id=known.event_id,
        event_type=known.event_type,
        attempt=known.attempts,
        status=_STATUS[known.status],
        response_code=None if last is None else last.status_code,
        response_body=(last.response or None) if last is not None else None,
        error_message=None if delivered else (last.error if last is not None else "") or known.reason or None,
        triggered_at=moment(known.created_at if last is None else last.started_at),
        next_retry_at=None if known.next_attempt_at is None else _atom(known.next_attempt_at),
        created_at=_atom(known.created_at),
        delivered_at=_atom(known.updated_at) if delivered else None,
    )


def _atom(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat()
