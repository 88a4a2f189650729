"""Testing a hook over HTTP."""

from collections.abc import Sequence

from aiohttp import web

from bridge.admin.restarting import NotNow, Unknown
from bridge.admin.testing import Tested, Testing
from bridge.http.api_answers import answer
from bridge.http.api_bodies import body_of, unfit
from bridge.http.api_names import AskedNames
from bridge.http.api_parameters import Parameters, no_hook
from bridge.http.operation import CHANGED, Operation
from bridge.http.problem import Refused
from bridge.model.access import Role
from bridge.model.documents.testing import TestBody, TestedDocument
from bridge.rules.formats.text import event_type


class TestRoutes:
    """Sends test events."""

    __test__ = False

    def __init__(self, testing: Testing, names: AskedNames) -> None:
        self._testing = testing
        self._names = names

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="hooks.test",
                method="POST",
                path="/v1/hooks/{id}/test",
                summary="Send a test event to the hook's target, and tell what came of it",
                handler=self._test,
                role=Role.OPERATOR,
                body=TestBody,
                body_required=False,
                answers={200: TestedDocument},
                refusals=frozenset({409}),
            )
        ]

    async def _test(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        which = request.match_info["id"]
        body = await body_of(request, TestBody, optional=True)
        if body.type is not None and event_type(body.type) != body.type:
            raise unfit([("type", "no event has such a type: at most 255 bytes, without control characters")])
        try:
            tested = await self._tested(which, body)
        except Unknown:
            raise no_hook(request, self._names.nearest_hook(which)) from None
        except NotNow as reason:
            raise Refused(409, str(reason)) from None
        request[CHANGED] = {"id": tested.hook, "outcome": tested.outcome, "event_id": tested.event_id}
        return answer(_document(tested).model_dump())

    async def _tested(self, hook: str, body: TestBody) -> Tested:
        if "data" in body.model_fields_set:
            return await self._testing.test_with(hook, body.type, body.data)
        return await self._testing.test(hook, body.type)


def _document(tested: Tested) -> TestedDocument:
    return TestedDocument.model_construct(
        delivered=tested.delivered,
        outcome=tested.outcome,
        status_code=tested.status_code,
        duration_ms=round(tested.duration_ms, 3),
        response=tested.response or None,
        error=tested.error or None,
        event_id=tested.event_id,
        event_type=tested.event_type,
    )
