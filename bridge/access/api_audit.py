"""Who changed what, over HTTP."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from aiohttp import web

from bridge.access.service import RESERVED, TokenDesk
from bridge.access.store import SqlAccess
from bridge.core.access import DeedFilter, Role
from bridge.hooks.names import AskedNames
from bridge.http.audit import DeedDocument, document
from bridge.http.body import page
from bridge.http.documents import PageDocument
from bridge.http.input import PAGE, PAGED, SPAN, Parameters, read_page, text
from bridge.http.operation import AUDITED, Operation
from bridge.settings.shape import nearest

_FILTERS = ("actor", "action", "object_type", "object_id")
_Word = Literal["actor", "action", "object_type"]


class AuditRoutes:
    """Reads, and changes nothing."""

    def __init__(self, audit: SqlAccess, desk: TokenDesk, names: AskedNames) -> None:
        self._audit = audit
        self._desk = desk
        self._names = names

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="audit.list",
                method="GET",
                path="/v1/audit",
                summary="Who changed what, the newest first",
                handler=self._deeds,
                role=Role.ADMIN,
                parameters=(
                    text("actor", "Name of a token; `admin` for `http.admin_token`."),
                    text("action", "An operation, such as `hooks.pause`."),
                    text("object_type", "Kind of what was changed, such as `hook`."),
                    text("object_id", "Its id; of a hook its name too."),
                    *SPAN,
                    *PAGE,
                ),
                answers={200: PageDocument[DeedDocument]},
            )
        ]

    async def _deeds(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*PAGED, *_FILTERS, "from", "to"))
        since, until = given.span()
        audited = request.app[AUDITED]
        actors = {*RESERVED, *(token.name for token in await self._desk.listed(revoked=True))}
        object_type = await self._known(given, "object_type", {each.object_type for each in audited})
        which = DeedFilter(
            actor=await self._known(given, "actor", actors),
            action=await self._known(given, "action", {each.name for each in audited}),
            object_type=object_type,
            object_id=await self._object(given, object_type),
            since=since,
            until=until,
        )
        found = await read_page(given, partial(self._audit.deeds, which))
        name_of = self._names.of_hook
        return page((document(each, name_of) for each in found.items), found.next)

    async def _known(self, given: Parameters, name: _Word, known: set[str]) -> str | None:
        """The word that is given; kept as a fault where neither this version nor an entry has it."""
        word = given.text(name)
        if word is not None and word not in known and not await self._has(_of_word(name, word)):
            given.unknown(name, f"there is no {name} {word[:60]!r}{nearest(word, sorted(known))}")
        return word

    async def _object(self, given: Parameters, object_type: str | None) -> str | None:
        """The id that is given, or that of the hook with this name."""
        which = given.text("object_id")
        if which is None or object_type not in {None, "hook"}:
            return which
        found = self._names.id_of_hook(which)
        if found is None and object_type == "hook" and not await self._has(DeedFilter(object_id=which)):
            given.unknown("object_id", f"there is no hook {which[:60]!r}{self._names.nearest_hook(which)}")
        return found or which

    async def _has(self, which: DeedFilter) -> bool:
        return bool((await self._audit.deeds(which, after=None, limit=1)).items)


def _of_word(name: _Word, word: str) -> DeedFilter:
    match name:
        case "actor":
            return DeedFilter(actor=word)
        case "action":
            return DeedFilter(action=word)
        case "object_type":
            return DeedFilter(object_type=word)
