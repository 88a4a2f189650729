"""The documents of replays in requests and responses."""

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.core.base import PerSecond, StrictModel
from bridge.core.delivery import Fault, Status
from bridge.core.records import Replay, ReplayFilter, ReplayStatus
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.http.input import Uuid

MOST_IDS = 1000
"""Maximum deliveries that a request may name."""


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
    """A filter of deliveries, which have to match every given field."""

    hook: str | None = Field(default=None, min_length=1, max_length=67)
    """Id or name of their hook; default: every hook."""
    status: Statuses | None = None
    """Their status; default: FAILED. Not with `missing`."""
    type: str | None = Field(default=None, min_length=1, max_length=255)
    """Type of their event, without wildcards."""
    source: str | None = Field(default=None, min_length=1, max_length=64)
    """Source of their event."""
    from_: str | None = Field(default=None, alias="from", min_length=1, max_length=64)
    """Only events received from then on: RFC 3339, a date, or a time before now, such as -24h."""
    to: str | None = Field(default=None, min_length=1, max_length=64)
    """Only events received before that."""
    ids: Annotated[list[Uuid], Field(min_length=1, max_length=MOST_IDS)] | None = None
    """Only these deliveries, by default whatever their status; at most 1,000."""
    outcome: Fault | Literal["delivered"] | None = None
    """Outcome of their last attempt."""
    status_code: int | None = None
    """HTTP status or exit code of their last attempt."""
    missing: bool = False
    """true: events that `hook` asks for at present and has no delivery for."""


class AskedReplay(StrictModel):
    """A replay to be created."""

    filter: AskedReplayFilter = AskedReplayFilter()
    """Filter of the deliveries; default: all that failed."""
    rate: Annotated[PerSecond, Field(gt=0, le=10_000)] | None = None
    """Maximum deliveries per second, such as 50 or 50/s; default: as fast as the hooks take them."""
    dry_run: bool = False
    """true: only count the deliveries."""


class ReplayFilterDocument(ClosedDocument):
    """The filter of a replay."""

    hook: str | None
    """Id of their hook; null: every hook."""
    hook_name: str | None
    """Name of their hook, with ` (deleted)` after it once the hook is; null: every hook."""
    status: list[Status]
    """Their status; empty with `missing`."""
    type: str | None
    """Type of their event."""
    source: str | None
    """Source of their event."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Only events received from then on."""
    to: UtcMoment | None
    """Only events received before that."""
    ids: int | None
    """Number of deliveries that were given by id; null: they were not."""
    outcome: str | None
    """Outcome of their last attempt."""
    status_code: int | None
    """HTTP status or exit code of their last attempt."""
    missing: bool
    """Whether the replay creates missing deliveries of `hook`."""

    @classmethod
    def of(cls, which: ReplayFilter, name_of: Callable[[str], str]) -> Self:
        """Returns the document of a replay's filter."""
        return cls.unchecked(
            which,
            hook_name=None if which.hook is None else name_of(which.hook),
            status=sorted(which.statuses),
            type=which.event_type,
            from_=which.since,
            to=which.until,
            ids=len(which.ids) or None,
        )


class DryRunDocument(ClosedDocument):
    """The count of a replay that was not created."""

    dry_run: bool
    """Always true."""
    total: int
    """Number of deliveries."""
    exact: bool
    """false: there are more than could be counted in time."""
    left_out: int
    """Number of further matching deliveries whose hooks are gone or disabled."""

    @classmethod
    def of(cls, planned: Replay) -> Self:
        """Returns the document of a replay that was counted and not created."""
        return cls.unchecked(planned, dry_run=True)


class FatesDocument(ClosedDocument):
    """The present statuses of the deliveries that a replay took."""

    succeeded: Annotated[int, Field(ge=0)]
    """Deliveries with status SUCCESS."""
    failed: Annotated[int, Field(ge=0)]
    """Deliveries that are FAILED again."""
    waiting: Annotated[int, Field(ge=0)]
    """Deliveries that are not final yet."""
    exact: bool
    """false: the replay took more; 20,000 of them were looked up."""


class ReplayDocument(ClosedDocument):
    """A job that retries many deliveries."""

    id: str
    """A UUIDv7."""
    filter: ReplayFilterDocument
    """Filter; only deliveries that matched when the replay was created are taken."""
    rate: float | None
    """Maximum deliveries per second; null: as fast as the hooks take them."""
    status: ReplayStatus
    """pending, running; done, cancelled and failed are final."""
    total: int
    """Number of deliveries, as counted when it was created."""
    exact: bool
    """false: there are more than could be counted in time."""
    done: int
    """Number of deliveries that were put into their lanes."""
    left_out: int
    """Number of matching deliveries whose hooks are gone or disabled."""
    created_at: UtcMoment
    """When it was created."""
    created_by: str
    """Name of the token that created it."""
    updated_at: UtcMoment
    """When it last made progress."""
    finished_at: UtcMoment | None
    """When it ended."""
    error: str | None
    """Why it failed."""
    results: FatesDocument | None = None
    """What became of its deliveries; only of a replay alone."""

    @classmethod
    def of(cls, replay: Replay, name_of: Callable[[str], str], **more: Any) -> Self:
        """Returns the document of the replay; `name_of` returns the name of the hook with an id."""
        return cls.unchecked(
            replay,
            filter=ReplayFilterDocument.of(replay.which, name_of),
            # Deliveries that were not counted, or matched only after a concurrent commit, show when they are done.
            total=max(replay.total, replay.done),
            error=replay.error or None,
            **more,
        )
