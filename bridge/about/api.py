"""The operations on the bridge itself: versions and settings."""

import platform
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from bridge import __version__
from bridge.core.access import Role
from bridge.core.ports import HistorySize
from bridge.db.engine import HEAD
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.http.input import Query
from bridge.http.operation import Call, Operation, OperationGroup, reading
from bridge.settings.tree import Settings

_ELSEWHERE = {"hooks", "inlets", "sources"}
"""Sections that have operations of their own."""


class AboutDocument(ClosedDocument):
    """The process that answers, and its history."""

    version: str
    """Version of amqp-bridge."""
    python: str
    """Version of Python."""
    replica: str
    """Id of this replica."""
    started_at: UtcMoment
    """When the process started to serve."""
    database: Literal["sqlite", "postgresql"]
    """Kind of the database."""
    revision: str
    """Revision of its tables."""
    history_bytes: Annotated[int, Field(ge=0)]
    """Size of the history, indexes included."""
    quarantined: Annotated[int, Field(ge=0)]
    """Messages in quarantine."""
    ui: bool
    """Whether the operator UI is served."""
    traces: bool
    """Whether spans are exported."""


class AboutRoutes(OperationGroup):
    """The operations on the bridge itself."""

    def __init__(
        self,
        settings: Settings,
        size: Callable[[], Awaitable[HistorySize]],
        *,
        replica: str,
        started_at: float,
    ) -> None:
        """`started_at` is in Unix seconds."""
        self._settings = settings
        self._size = size
        self._replica = replica
        self._started_at = started_at

    @reading(
        "about.show", "/v1/about", "Get the version, the replica that answers, and the size of the history"
    )
    async def _about(self, _: Call[Query, None]) -> AboutDocument:
        size, settings = await self._size(), self._settings
        return AboutDocument.unchecked(
            version=__version__,
            python=platform.python_version(),
            replica=self._replica,
            started_at=self._started_at,
            database="sqlite" if settings.storage.for_one_process else "postgresql",
            revision=HEAD,
            history_bytes=size.bytes,
            quarantined=size.quarantined,
            ui=settings.http.ui,
            traces=settings.telemetry.traces.enabled,
        )

    @Operation(
        name="settings.show",
        path="/v1/settings",
        summary="Get the settings in force, without secrets; hooks, sources and inlets have lists of their own",
        role=Role.ADMIN,
        answers={200: dict[str, Any]},
    )
    async def _settings_in_force(self, _: Call[Query, None]) -> dict[str, Any]:
        return self._settings.model_dump(mode="json", exclude=_ELSEWHERE)
