"""The admin API of Phlix for webhooks, by which its clients manage hooks of the bridge."""

from collections.abc import Mapping
from typing import Any

from bridge.core.access import Role
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook
from bridge.history.history import SqlHistory
from bridge.hooks.api import hook_problems
from bridge.hooks.service import NoSuchHook
from bridge.http.body import json_of
from bridge.http.documents import RequestProblem
from bridge.http.input import SPAN, Given, Query, invalid, uuid, when
from bridge.http.operation import Call, Operation, OperationGroup, Problems, Reply, reading
from bridge.phlix import documents
from bridge.phlix.service import MOST, PhlixWebhooks, dispatches_of, dispatches_to, webhook_id
from bridge.stats.api import TOP
from bridge.stats.documents import PlaybackDocument, TopMediaDocument, TopUsersDocument
from bridge.stats.service import Measures, TimeRange

_PATH = "/v1/admin/webhooks"
_ONE = f"{_PATH}/{{id}}"
_FIELDS = ("name", "url", "secret", "events")
_NAMES = {"description": "name", "target.url": "url", "target.secrets": "secret"}
"""The names that Phlix's clients use for a hook's fields."""
_EXAMPLE = {
    "name": "My Discord alerts",
    "url": "https://hooks.example.net/phlix",
    "secret": "s3cr3t",
    "events": ["playback.started", "playback.ended", "library.updated"],
}
_PROBLEMS: Problems = {
    **hook_problems(lambda _: ""),
    SettingsError: lambda error, _: invalid((_named(fault.path), fault.message) for fault in error.problems),
    NoSuchHook: lambda _, __: RequestProblem(404, "Webhook not found"),
}


class _EventQuery(Query):
    event_id = uuid("event_id", "Id of an event.")


class _OneEventQuery(Query, looks_up=True):
    event_id = uuid("event_id", "Id of an event.", required=True)


def _operation(verb: str, path: str, **further: Any) -> Operation:
    return Operation(name=f"webhooks.{verb}", path=path, role=Role.ADMIN, **further)


class PhlixRoutes(OperationGroup):
    """The routes of Phlix's admin API. All require the role admin, as in Phlix; an invalid body gives 400."""

    problems = _PROBLEMS

    def __init__(self, webhooks: PhlixWebhooks, records: SqlHistory) -> None:
        self._webhooks = webhooks
        self._records = records

    @_operation(
        "list", _PATH, summary="List webhooks with Phlix's profile", answers={200: documents.Webhooks}
    )
    async def _list(self, _: Call[Query, None]) -> documents.Webhooks:
        return documents.Webhooks(webhooks=await self._webhooks.rows())

    @_operation(
        "deliveries_of_event",
        f"{_PATH}/deliveries",
        summary="List the deliveries of an event to all webhooks",
        answers={200: documents.Dispatches},
    )
    async def _of_event(self, call: Call[_OneEventQuery, None]) -> documents.Dispatches:
        query = call.query
        if not query.has("event_id"):
            query.wrong("event_id", "is required")
        query.check()
        rows = await dispatches_of(self._records, self._webhooks.hooks(), query.event_id or "")
        return documents.Dispatches(deliveries=rows)

    @_operation(
        "deliveries",
        f"{_ONE}/deliveries",
        summary=f"List the last {MOST} deliveries to a webhook",
        answers={200: documents.Dispatches},
    )
    async def _deliveries(self, call: Call[_EventQuery, None]) -> documents.Dispatches:
        hook = self._webhooks.hook(call.which)
        return documents.Dispatches(deliveries=await dispatches_to(self._records, hook, call.query.event_id))

    @_operation(
        "create",
        _PATH,
        method="POST",
        summary="Create a webhook; it receives matching events at once",
        body=documents.NewWebhook,
        read=json_of,
        example=_EXAMPLE,
        answers={201: documents.Registered},
        refusals=frozenset({409}),
    )
    async def _create(self, call: Call[Query, Any]) -> Reply:
        given = _checked(call.body)
        missing = [name for name in ("name", "url", "secret") if not given.get(name)]
        if missing:
            faults = [{"name": name, "reason": "is required"} for name in missing]
            what = "Missing required fields: name, url, secret"
            raise RequestProblem(400, what, members={"invalid-params": faults})
        hook, made = await self._webhooks.register(
            given["name"], given["url"], given["secret"], given.get("events") or []
        )
        return Reply(document=documents.Registered(webhook=made), changed=_changed(hook))

    @_operation(
        "update",
        _ONE,
        method="PUT",
        summary="Update a webhook; an empty secret keeps the present one",
        body=documents.ChangedWebhook,
        read=json_of,
        example={"name": "Alerts", "secret": ""},
        answers={200: documents.Shown},
        refusals=frozenset({409, 412}),
    )
    async def _update(self, call: Call[Query, Any]) -> Reply:
        given = _checked(call.body)
        empty = [(name, "must not be blank") for name in ("name", "url") if given.get(name) == ""]
        if empty:
            raise invalid(empty)
        if not given:
            self._webhooks.hook(call.which)
            raise invalid([("", "No fields to update")])
        hook = await self._webhooks.change(call.which, given)
        shown = documents.Shown(webhook=await self._webhooks.row(hook.id))
        return Reply(document=shown, changed=_changed(hook, fields=sorted(given)))

    @_operation(
        "delete",
        _ONE,
        method="DELETE",
        summary="Delete a webhook and its waiting deliveries",
        answers={204: None},
        refusals=frozenset({409, 412}),
    )
    async def _delete(self, call: Call[Query, None]) -> Reply:
        return Reply(changed=_changed(await self._webhooks.remove(call.which)))

    @_operation(
        "test",
        f"{_ONE}/test",
        method="POST",
        summary="Send the event webhook.test; the response has the result",
        answers={200: documents.DispatchResult},
    )
    async def _test(self, call: Call[Query, None]) -> Reply:
        hook = self._webhooks.hook(call.which)
        result = await self._webhooks.test(call.which)
        return Reply(document=result, changed=_changed(hook, success=result.success))


def _checked(body: Any) -> dict[str, Any]:
    """Returns the given fields of a webhook that are not null. Raises RequestProblem for a field of another type."""
    if not isinstance(body, Mapping):
        raise invalid([("", "must be an object with name, url, secret and events")])
    given = {name: body[name] for name in _FIELDS if body.get(name) is not None}
    faults = [
        (name, "must be a text") for name, value in given.items() if name != "events" and not _is_text(value)
    ]
    events = given.get("events", [])
    if not isinstance(events, list):
        faults.append(("events", "events must be an array"))
    else:
        faults += [
            (f"events[{at}]", "must be a text") for at, each in enumerate(events) if not _is_text(each)
        ]
    if faults:
        raise invalid(faults[:100])
    return {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _named(path: str) -> str:
    for ours, theirs in _NAMES.items():
        if path == ours or path.startswith((f"{ours}.", f"{ours}[")):
            return theirs
    return path


def _changed(hook: Hook, **told: Any) -> dict[str, Any]:
    """The members of the audit log entry, which identifies hooks by their own ids."""
    return {"id": hook.id, "name": hook.name, "webhook": webhook_id(hook.id), **told}


# Phlix's statistics, under its paths and in its terms, over the playbacks of all sources of its format.


class _PlaybackQuery(Query):
    span = SPAN


class _TopQuery(Query):
    limit = TOP
    span = Given(lambda given: given.span("since", None), when("since", "From this moment on"))


class PhlixStatisticsRoutes(OperationGroup):
    """The read-only routes of the statistics."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    @reading("phlix.playback", "/v1/admin/stats/playback", "Phlix: get playbacks per day")
    async def _playback(self, call: Call[_PlaybackQuery, None]) -> PlaybackDocument:
        return await self._measures.playback(TimeRange(*call.query.span))

    @reading("phlix.top_users", "/v1/admin/stats/top-users", "Phlix: list the users with the most playbacks")
    async def _top_users(self, call: Call[_TopQuery, None]) -> TopUsersDocument:
        return await self._measures.top_users(TimeRange(*call.query.span), call.query.limit)

    @reading("phlix.top_media", "/v1/admin/stats/top-media", "Phlix: list the media with the most playbacks")
    async def _top_media(self, call: Call[_TopQuery, None]) -> TopMediaDocument:
        return await self._measures.top_media(TimeRange(*call.query.span), call.query.limit)
