"""The admin API of Phlix for webhooks, by which its clients manage hooks of the bridge."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel

from bridge.core.access import Role
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook
from bridge.history.history import SqlHistory
from bridge.hooks.api import refusing
from bridge.hooks.service import NoSuchHook
from bridge.http.body import answer, json_of
from bridge.http.input import Parameters, invalid, uuid
from bridge.http.operation import CHANGED, Operation, OperationHandler, reading
from bridge.http.problem import Refused
from bridge.phlix.documents import (
    ChangedWebhook,
    Dispatches,
    DispatchResult,
    NewWebhook,
    Registered,
    Shown,
    Webhooks,
)
from bridge.phlix.service import MOST, PhlixWebhooks, dispatches_of, dispatches_to, webhook_id
from bridge.stats.api import TOP, TOP_LIMIT
from bridge.stats.documents import (
    FROM,
    SINCE,
    TO,
    PlaybackDocument,
    TopMediaDocument,
    TopUsersDocument,
    asked_span,
)
from bridge.stats.measures import Measures

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
_EVENT = uuid("event_id", "Id of an event.")
_OVERTAKEN = frozenset({409, 412})
_Method = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]


def _as_phlix(method: _Method) -> Any:
    """Wrap a handler so that its errors have Phlix's names and status."""

    @wraps(method)
    async def handle(self: Any, request: web.Request) -> web.StreamResponse:
        try:
            return await method(self, request)
        except SettingsError as error:
            raise invalid((_named(fault.path), fault.message) for fault in error.problems) from None
        except NoSuchHook:
            raise Refused(404, "Webhook not found") from None

    return refusing(handle)


class PhlixRoutes:
    """The routes of Phlix's admin API. All require the role admin, as in Phlix; an invalid body gives 400."""

    def __init__(self, webhooks: PhlixWebhooks, records: SqlHistory) -> None:
        self._webhooks = webhooks
        self._records = records

    def operations(self) -> Sequence[Operation]:
        read = [
            _operation(
                "list", "GET", _PATH, "Webhooks with Phlix's profile", self._list, answers={200: Webhooks}
            ),
            _operation(
                "deliveries_of_event",
                "GET",
                f"{_PATH}/deliveries",
                "What came of an event at all webhooks",
                self._of_event,
                answers={200: Dispatches},
                parameters=(replace(_EVENT, required=True),),
            ),
            _operation(
                "deliveries",
                "GET",
                f"{_ONE}/deliveries",
                f"The last {MOST} dispatches to a webhook",
                self._deliveries,
                answers={200: Dispatches},
                parameters=(_EVENT,),
            ),
        ]
        return [*read, *self._changing()]

    def _changing(self) -> list[Operation]:
        create = _operation(
            "create",
            "POST",
            _PATH,
            "Register a webhook; it gets what matches at once",
            self._create,
            answers={201: Registered},
            body=NewWebhook,
            example=_EXAMPLE,
            refusals=frozenset({409}),
        )
        update = _operation(
            "update",
            "PUT",
            _ONE,
            "Change a webhook; a blank secret keeps the old",
            self._update,
            answers={200: Shown},
            body=ChangedWebhook,
            example={"name": "Alerts", "secret": ""},
            refusals=_OVERTAKEN,
        )
        what = "Delete a webhook; what waits for it is dropped"
        delete = _operation(
            "delete", "DELETE", _ONE, what, self._delete, answers={204: None}, refusals=_OVERTAKEN
        )
        what = "Send the event webhook.test, and tell the true outcome"
        test = _operation("test", "POST", f"{_ONE}/test", what, self._test, answers={200: DispatchResult})
        return [create, update, delete, test]

    async def _list(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        return _shown(Webhooks(webhooks=await self._webhooks.rows()))

    @_as_phlix
    async def _create(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        given = _checked(await json_of(request))
        missing = [name for name in ("name", "url", "secret") if not given.get(name)]
        if missing:
            faults = [{"name": name, "reason": "is required"} for name in missing]
            what = "Missing required fields: name, url, secret"
            raise Refused(400, what, members={"invalid-params": faults})
        hook, made = await self._webhooks.register(
            given["name"], given["url"], given["secret"], given.get("events") or []
        )
        _remember(request, hook)
        return _shown(Registered(webhook=made), 201)

    @_as_phlix
    async def _update(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        given = _checked(await json_of(request))
        empty = [(name, "must not be blank") for name in ("name", "url") if given.get(name) == ""]
        if empty:
            raise invalid(empty)
        which = request.match_info["id"]
        if not given:
            self._webhooks.hook(which)
            raise invalid([("", "No fields to update")])
        hook = await self._webhooks.change(which, given)
        _remember(request, hook, fields=sorted(given))
        return _shown(Shown(webhook=await self._webhooks.row(hook.id)))

    @_as_phlix
    async def _delete(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        _remember(request, await self._webhooks.remove(request.match_info["id"]))
        return web.Response(status=204)

    @_as_phlix
    async def _test(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        which = request.match_info["id"]
        hook = self._webhooks.hook(which)
        result = await self._webhooks.test(which)
        _remember(request, hook, success=result.success)
        return _shown(result)

    @_as_phlix
    async def _deliveries(self, request: web.Request) -> web.StreamResponse:
        given = Parameters(request, ("event_id",))
        event_id = given.uuid("event_id")
        given.check()
        hook = self._webhooks.hook(request.match_info["id"])
        return _shown(Dispatches(deliveries=await dispatches_to(self._records, hook, event_id)))

    async def _of_event(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("event_id",))
        event_id = given.uuid("event_id")
        if "event_id" not in request.query:
            given.wrong("event_id", "is required")
        given.check()
        rows = await dispatches_of(self._records, self._webhooks.hooks(), event_id or "")
        return _shown(Dispatches(deliveries=rows))


def _operation(
    verb: str,
    method: Literal["GET", "POST", "PUT", "DELETE"],
    path: str,
    summary: str,
    handler: OperationHandler,
    *,
    answers: Mapping[int, Any],
    **further: Any,
) -> Operation:
    return Operation(
        name=f"webhooks.{verb}",
        method=method,
        path=path,
        summary=summary,
        handler=handler,
        role=Role.ADMIN,
        answers=answers,
        **further,
    )


def _checked(body: Any) -> dict[str, Any]:
    """Returns the given fields of a webhook that are not null. Raises Refused for a field of another type."""
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


def _remember(request: web.Request, hook: Hook, **told: Any) -> None:
    """Add the hook's id to the audit log entry, which identifies hooks by their own ids."""
    request[CHANGED] = {"id": hook.id, "name": hook.name, "webhook": webhook_id(hook.id), **told}


def _shown(document: BaseModel, status: int = 200) -> web.Response:
    response = answer(document.model_dump())
    response.set_status(status)
    return response


# Phlix's statistics, under its paths and in its terms, over the playbacks of all sources of its format.


class PhlixStatisticsRoutes:
    """The read-only routes of the statistics."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    def operations(self) -> Sequence[Operation]:
        return [
            reading(
                "phlix.playback",
                "/v1/admin/stats/playback",
                "Phlix: playbacks day by day",
                self._playback,
                PlaybackDocument,
                FROM,
                TO,
            ),
            reading(
                "phlix.top_users",
                "/v1/admin/stats/top-users",
                "Phlix: who watches most",
                self._top_users,
                TopUsersDocument,
                TOP,
                SINCE,
            ),
            reading(
                "phlix.top_media",
                "/v1/admin/stats/top-media",
                "Phlix: what is watched most",
                self._top_media,
                TopMediaDocument,
                TOP,
                SINCE,
            ),
        ]

    async def _playback(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("from", "to"))
        asked = asked_span(given)
        given.check()
        return answer({"data": await self._measures.playback(asked)})

    async def _top_users(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("limit", "since"))
        asked, limit = asked_span(given, "since", None), given.limit(TOP_LIMIT)
        given.check()
        return answer({"data": await self._measures.top_users(asked, limit)})

    async def _top_media(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("limit", "since"))
        asked, limit = asked_span(given, "since", None), given.limit(TOP_LIMIT)
        given.check()
        return answer({"data": await self._measures.top_media(asked, limit)})
