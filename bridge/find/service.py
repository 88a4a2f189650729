"""Finds what a pasted text may name: ids of any kind, hooks, event types; a few of each."""

from collections.abc import AsyncIterator, Iterator
from typing import Literal, Self, get_args

from bridge.access.store import SqlAccess
from bridge.core.access import DeedFilter
from bridge.core.records import EventFilter, IdOf
from bridge.events.types import SeenTypes
from bridge.history.history import SqlHistory
from bridge.hooks.service import InForce
from bridge.http.api import is_short
from bridge.http.documents import ClosedDocument
from bridge.http.input import is_id

_MOST_IDS = 5
_MOST_NAMES = 10

Kind = Literal["hook", "event", "delivery", "replay", "quarantine", "event_type", "audit"]


class FoundDocument(ClosedDocument):
    """Something that the text may name."""

    kind: Kind
    """What it is."""
    id: str
    """Its id; of an event type the type."""
    name: str
    """Name for people: that of a hook, the type of an event; else the id."""
    by: Literal["id", "name", "type", "publisher_id", "webhook_id", "request_id"]
    """What the text was found in."""

    @classmethod
    def of(cls, kind: Kind, id_: str, by: str, name: str = "") -> Self:
        """Returns the document."""
        return cls.unchecked(kind=kind, id=id_, name=name or id_, by=by)


class Finder:
    """Finds by indexes and in the table of hooks."""

    def __init__(self, records: SqlHistory, types: SeenTypes, in_force: InForce, audit: SqlAccess) -> None:
        self._records = records
        self._types = types
        self._in_force = in_force
        self._audit = audit

    async def find(self, text: str, *, audit: bool) -> list[FoundDocument]:
        """Returns what the text names, each once; `audit`: also entries of the audit log. Raises HistoryUnavailable."""
        found = {
            (each.kind, each.id): each for each in reversed([each async for each in self._all(text, audit)])
        }
        return list(reversed(found.values()))

    async def _all(self, text: str, audit: bool) -> AsyncIterator[FoundDocument]:
        if is_id(text) or is_short(text):
            for kind in get_args(IdOf):
                for one in await self._records.ids_beginning(kind, text.lower(), _MOST_IDS):
                    yield FoundDocument.of(kind, one, "id")
        for hook in self._hooks(text):
            yield hook
        for by, which in (
            ("publisher_id", EventFilter(publisher_id=text)),
            ("webhook_id", EventFilter(webhook_id=text)),
        ):
            page = await self._records.events(which, after=None, limit=_MOST_IDS)
            for event in page.items:
                yield FoundDocument.of("event", event.id, by, event.type)
        if audit:
            entries = await self._audit.deeds(DeedFilter(request_id=text), after=None, limit=_MOST_IDS)
            for entry in entries.items:
                yield FoundDocument.of("audit", entry.id, "request_id", entry.action)
        for event_type in await self._kinds(text):
            yield FoundDocument.of("event_type", event_type, "type")

    def _hooks(self, text: str) -> Iterator[FoundDocument]:
        """Yields hooks: those with this id or name first, then names that begin with the text, then those that have it."""
        names = {hook.id: hook.name for hook in self._in_force.written.values()}
        names |= {each.hook.id: each.hook.name for each in self._in_force.stored.values()}
        asked = text.lower()
        fitting = [
            (_rank(id_, name, asked), name, id_)
            for id_, name in names.items()
            if asked in name or asked == id_
        ]
        for _, name, id_ in sorted(fitting)[:_MOST_NAMES]:
            yield FoundDocument.of("hook", id_, "id" if asked == id_ != name else "name", name)

    async def _kinds(self, text: str) -> list[str]:
        asked = text.lower()
        fitting = [kind for kind in await self._types.names() if asked in kind.lower()]
        return sorted(fitting, key=lambda kind: (not kind.lower().startswith(asked), kind))[:_MOST_NAMES]


def _rank(id_: str, name: str, asked: str) -> int:
    return 0 if asked in (id_, name) else 1 if name.startswith(asked) else 2
