"""The documents of replays in requests and responses."""

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.core.base import PerSecond, StrictModel
from bridge.core.delivery import Status
from bridge.core.jobs import Replay, ReplayFilter
from bridge.core.records import ReplayStatus
from bridge.formats.text import utc_seconds
from bridge.http.documents import ClosedDocument, UtcMoment, moment_or_none


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_STATUS = {"type": "string", "enum": [str(each) for each in Status]}
Statuses = Annotated[
    list[Status],
    BeforeValidator(_several),
    Field(min_length=1, max_length=10),
    WithJsonSchema({"anyOf": [_STATUS, {"type": "array", "items": _STATUS, "minItems": 1, "maxItems": 10}]}),
]


class AskedReplayFilter(StrictModel):
    """Which deliveries: those that every given field fits."""

    hook: str | None = Field(default=None, min_length=1, max_length=67)
    """Id or name of their hook; default: every hook."""
    status: Statuses | None = None
    """Where they stand; default: FAILED. Not with `missing`."""
    type: str | None = Field(default=None, min_length=1, max_length=255)
    """Type of their event, whole."""
    source: str | None = Field(default=None, min_length=1, max_length=64)
    """Source of their event."""
    from_: str | None = Field(default=None, alias="from", min_length=1, max_length=64)
    """Only events received from then on: RFC 3339, a date, or so long ago, such as -24h."""
    to: str | None = Field(default=None, min_length=1, max_length=64)
    """Only events received before that."""
    missing: bool = False
    """true: events that `hook` asks for today and has no delivery for."""


class AskedReplay(StrictModel):
    """What is to be delivered again."""

    filter: AskedReplayFilter = AskedReplayFilter()
    """Which deliveries; default: all that failed."""
    rate: Annotated[PerSecond, Field(gt=0, le=10_000)] | None = None
    """Deliveries per second, such as 50 or 50/s; default: as fast as the hooks take them."""
    dry_run: bool = False
    """true: only count them."""


class ReplayFilterDocument(ClosedDocument):
    """Which deliveries a replay takes."""

    hook: str | None
    """Id of their hook; null: every hook."""
    hook_name: str | None
    """Name of their hook, its id where the hook is gone; null: every hook."""
    status: list[Status]
    """Where they stood; empty with `missing`."""
    type: str | None
    """Type of their event."""
    source: str | None
    """Source of their event."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Only events received from then on."""
    to: UtcMoment | None
    """Only events received before that."""
    missing: bool
    """Whether it makes deliveries that `hook` never had."""

    @classmethod
    def of(cls, which: ReplayFilter, name_of: Callable[[str], str]) -> Self:
        """Returns the document of a replay's filter."""
        return cls.unchecked(
            hook=which.hook,
            hook_name=None if which.hook is None else name_of(which.hook),
            status=sorted(which.statuses),
            type=which.event_type,
            source=which.source,
            from_=moment_or_none(which.since),
            to=moment_or_none(which.until),
            missing=which.missing,
        )


class DryRunDocument(ClosedDocument):
    """What a replay would take."""

    dry_run: bool
    """true."""
    total: int
    """How many deliveries."""
    exact: bool
    """false: there are more than could be counted in time."""
    left_out: int
    """How many more fit whose hooks are gone or disabled."""

    @classmethod
    def of(cls, planned: Replay) -> Self:
        """Returns the document of a replay that was counted and not created."""
        return cls(dry_run=True, total=planned.total, exact=planned.exact, left_out=planned.left_out)


class ReplayDocument(ClosedDocument):
    """Deliveries that are started anew as one job."""

    id: str
    """A UUIDv7."""
    filter: ReplayFilterDocument
    """Which deliveries it takes, of those that were there when it was made."""
    rate: float | None
    """Deliveries per second; null: as fast as the hooks take them."""
    status: ReplayStatus
    """pending, running; done, cancelled and failed are final."""
    total: int
    """How many it takes, as counted when it was made."""
    exact: bool
    """false: there are more than could be counted in time."""
    done: int
    """How many wait in their lanes by now, or are through."""
    left_out: int
    """How many fit whose hooks are gone or disabled."""
    created_at: UtcMoment
    """When it was made."""
    created_by: str
    """Name of the token with which it was made."""
    updated_at: UtcMoment
    """When it last went on."""
    finished_at: UtcMoment | None
    """When it ended."""
    error: str | None
    """Why it failed."""

    @classmethod
    def of(cls, replay: Replay, name_of: Callable[[str], str]) -> Self:
        """Returns the document of the replay; `name_of` returns the name of the hook with an id."""
        return cls.unchecked(
            id=replay.id,
            filter=ReplayFilterDocument.of(replay.which, name_of),
            rate=replay.rate,
            status=replay.status,
            # Deliveries that were not counted, or matched only after a concurrent commit, show when they are done.
            total=max(replay.total, replay.done),
            exact=replay.exact,
            done=replay.done,
            left_out=replay.left_out,
            created_at=utc_seconds(replay.created_at),
            created_by=replay.created_by,
            updated_at=utc_seconds(replay.updated_at),
            finished_at=moment_or_none(replay.finished_at),
            error=replay.error or None,
        )
