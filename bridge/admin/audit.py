"""The audit log: who changed what."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from bridge.model.access import Actor, Deed
from bridge.model.documents import DeedDocument
from bridge.ports.access import Audit
from bridge.rules.bodies.exact import json_text
from bridge.rules.formats.text import utc_seconds
from bridge.telemetry import events

_PATIENCE = 5.0
"""Seconds that an answer waits for its entry."""
_MOST_DETAIL = 16_384
"""Characters of an entry's detail."""


class AuditLog:
    """Writes down what was done. What it cannot write is told in the log, whole: it was done all the same."""

    def __init__(self, audit: Audit, new_id: Callable[[], str]) -> None:
        """`new_id` gives UUIDv7s: entries are in the order of theirs."""
        self._audit = audit
        self._new_id = new_id
        self._hear: list[Callable[[Deed], None]] = []

    def listen(self, hear: Callable[[Deed], None]) -> None:
        """Call `hear` with everything that was done, once it is written or could not be."""
        self._hear.append(hear)

    async def write(
        self,
        actor: Actor,
        action: str,
        thing: tuple[str, str],
        detail: Mapping[str, Any],
        *,
        request_id: str = "",
        remote: str = "",
    ) -> None:
        """Never raises. `thing`: kind and id of what was changed; `detail`: JSON values without secrets."""
        kind, name = thing
        deed = Deed(
            id=self._new_id(),
            at=time.time(),
            actor=actor.name,
            role=actor.role,
            action=action,
            object_type=kind,
            object_id=name,
            request_id=request_id,
            remote=remote,
            detail=_bounded(json_text(detail)),
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._audit.write_deed(deed)
        except Exception as error:  # noqa: BLE001 -- the deed is done: no failure here may look like one of it
            events.audit_failed(deed, error)
        for hear in self._hear:
            hear(deed)


def document(deed: Deed, name_of: Callable[[str], str]) -> DeedDocument:
    """The entry as the API shows it; `name_of` gives the name of the hook with an id."""
    return DeedDocument(
        id=deed.id,
        at=utc_seconds(deed.at),
        actor=deed.actor,
        role=deed.role,
        action=deed.action,
        object_type=deed.object_type,
        object_id=deed.object_id,
        object_name=name_of(deed.object_id) if deed.object_type == "hook" and deed.object_id else None,
        request_id=deed.request_id,
        remote=deed.remote,
        detail=json.loads(deed.detail),
    )


def _bounded(text: str) -> str:
    return text if len(text) <= _MOST_DETAIL else json.dumps({"cut": text[: _MOST_DETAIL // 2]})
