"""The operation of the API that finds what a text names."""

from bridge.core.access import Role
from bridge.find.service import Finder, FoundDocument
from bridge.http.documents import ClosedDocument
from bridge.http.input import Query, Text, any_text, parsed
from bridge.http.operation import Call, OperationGroup, reading


class FoundAllDocument(ClosedDocument):
    """What a text may name."""

    items: list[FoundDocument]
    """The nearest first: ids, hooks, ids of publishers and requests, event types; a few of each."""


class _FindQuery(Query):
    q = parsed(
        "q",
        any_text,
        Text,
        "An id of any kind, its first 8 characters or more, a name or its beginning.",
        required=True,
    )


class FindRoutes(OperationGroup):
    """The operation that finds."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    @reading("find.show", "/v1/find", "Find what a pasted id or the beginning of a name stands for")
    async def _find(self, call: Call[_FindQuery, None]) -> FoundAllDocument:
        query = call.query
        if query.q is None:
            query.wrong("q", "is missing")
        query.check()
        items = await self._finder.find((query.q or "").strip(), audit=call.actor.role.may(Role.ADMIN))
        return FoundAllDocument.unchecked(items=items)
