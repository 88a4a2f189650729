"""The audit log: who changed what."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Self

from bridge.bodies.exact import json_text
from bridge.core.access import Actor, Audit, AuditEntry, Role
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.telemetry import events

# The documents of the audit log.


class ActorDocument(ClosedDocument):
    """The caller."""

    name: str
    """Name of the token; `admin` for `http.admin_token`."""
    role: Role
    """Permissions of the token."""


class DeedDocument(ClosedDocument):
    """An entry of the audit log."""

    id: str
    """A UUIDv7."""
    at: UtcMoment
    """When it happened."""
    actor: str
    """Name of the token; `admin` for `http.admin_token`, `bridge` for the bridge itself."""
    role: str
    """Role of the token."""
    action: str
    """The operation, such as hooks.pause."""
    object_type: str
    """Type of the changed object, such as hook."""
    object_id: str
    """Id of the object; empty if several were changed, or the object has none."""
    object_name: str | None
    """Name of a hook, its id if it does not exist any more; null for other objects."""
    request_id: str
    """The request's id, as in `X-Request-Id` and in the log."""
    remote: str
    """Address of the client."""
    detail: dict[str, Any]
    """Changed values and counts, without secrets."""

    @classmethod
    def of(cls, deed: AuditEntry, name_of: Callable[[str], str]) -> Self:
        """Returns the document of the entry; `name_of` returns the name of the hook with an id."""
        return cls.unchecked(
            deed,
            object_name=name_of(deed.object_id) if deed.object_type == "hook" and deed.object_id else None,
            detail=json.loads(deed.detail),
        )


_PATIENCE = 5.0
"""Maximum seconds that a response waits for its entry to be written."""
_MOST_DETAIL = 16_384
"""Maximum characters of an entry's detail."""


class AuditLog:
    """Writes the audit log. An entry that cannot be written is logged in full: the change was made nevertheless."""

    def __init__(
        self,
        audit: Audit,
        new_id: Callable[[], str],
        written: Callable[[AuditEntry], None] = lambda _entry: None,
    ) -> None:
        """`new_id` returns UUIDv7s, by which entries are ordered; `written` is called with every entry, once it is written or
        could not be.
        """
        self._audit = audit
        self._new_id = new_id
        self._written = written

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
        """Writes an entry; never raises. `thing`: kind and id of the changed object; `detail`: JSON values without secrets."""
        kind, name = thing
        deed = AuditEntry(
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
            # This line is the only record of the change.
            events.process.error(
                "audit.failed",
                error=repr(error),
                effect="the change is in force and missing in the audit log",
                **{name: told for name, told in asdict(deed).items() if name != "id"},
            )
        self._written(deed)


def _bounded(text: str) -> str:
    return text if len(text) <= _MOST_DETAIL else json.dumps({"cut": text[: _MOST_DETAIL // 2]})
