"""The delivery (one event for one hook), its attempts, their answers and outcomes, and the entries of the history."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import NamedTuple, assert_never

from bridge.core.base import value
from bridge.core.event import Event, Message

# Evidence: the headers and addresses of a request and of its response, without the bodies.


@value(frozen=True, slots=True)
class Form:
    """The part of the evidence that is the same in many attempts, as JSON; `id` is derived from it."""

    id: str
    text: str


@value(frozen=True, slots=True)
class Evidence:
    """The evidence of one attempt: shared forms, and the values that differ, those of `sent` first.

    `heard` is None if there was no response. `digest` is the SHA-256 of the body that was sent. See
    bridge.wire.evidence.
    """

    sent: Form
    heard: Form | None
    digest: str
    values: tuple[str, ...]


@value(frozen=True, slots=True)
class KnownEvidence:
    """The evidence of one attempt as the API shows it: request URL, method and headers, and the response (None: no
    response).

    Secrets and signatures are shortened. `settings` is a digest of the target's configuration.
    """

    type: str
    to: str
    method: str | None
    settings: str
    headers: tuple[tuple[str, str], ...]
    body_sha256: str
    answered: tuple[tuple[str, str], ...] | None


class Status(StrEnum):
    """The status of a delivery; SUCCESS, FAILED and SKIPPED are final and never change again."""

    PENDING = "PENDING"
    RETRYING = "RETRYING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


FINAL = frozenset({Status.SUCCESS, Status.FAILED, Status.SKIPPED})

DUPLICATE = "duplicate"
"""The reason of a delivery that deduplication skipped (`dedupe`)."""


class TraceContext(NamedTuple):
    """The W3C trace context of a span, as its headers `traceparent` and `tracestate` (empty: none) carry it."""

    parent: str
    state: str = ""

    @property
    def trace_id(self) -> str:
        """Returns the id of the trace, 32 hexadecimal digits."""
        return self.parent[3:35]

    @property
    def span_id(self) -> str:
        """Returns the id of the span, 16 hexadecimal digits."""
        return self.parent[36:52]

    @property
    def sampled(self) -> bool:
        """Returns whether the trace is recorded."""
        return bool(int(self.parent[53:55], 16) & 1)

    @property
    def headers(self) -> dict[str, str]:
        """Returns the headers that continue the trace."""
        state = {"tracestate": self.state} if self.state else {}
        return {"traceparent": self.parent} | state


@value(frozen=True, slots=True)
class Delivery:
    """One event for one hook, ready for its next attempt.

    `attempt` is the number of the next attempt, from 1. `retries` is the number of waits of the hook's schedule that
    were used: a failed probe of an open circuit breaker is an attempt but uses no wait. The delivery waits from
    `waits_from` to `not_before`. `generation` rises with each manual retry or replay, at `restarted_at` (0: never).
    `done` names the parts of the target that have the event already, in the target's own format (a notify target with
    several URLs). `provisional`: the hook could not be read when the event arrived, so the event is matched again
    before its first attempt. `trace` is the bridge's own span that the next step continues; None: the publisher's trace
    is passed on, if there is one. Times are in Unix seconds.
    """

    id: str
    event: Event
    hook: str
    generation: int = 1
    attempt: int = 1
    retries: int = 0
    not_before: float = 0.0
    waits_from: float = 0.0
    error: str = ""
    done: tuple[str, ...] = ()
    restarted_at: float = 0.0
    provisional: bool = False
    trace: TraceContext | None = None


class Fault(StrEnum):
    """The closed set of failure kinds of an attempt (also the values of the metric label `outcome`)."""

    REFUSED = "refused"
    DNS = "dns"
    TLS = "tls"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BLOCKED_ADDRESS = "blocked_address"
    STATUS = "status"
    REDIRECT = "redirect"
    EXIT = "exit"
    SIGNAL = "signal"
    SPAWN = "spawn"
    UNROUTABLE = "unroutable"
    NOT_CONFIRMED = "not_confirmed"
    TOO_LARGE = "too_large"
    LOOP = "loop"
    CONTENT = "content"
    PARTIAL = "partial"
    BUG = "bug"


@value(frozen=True, slots=True)
class Answer:
    """The result of one attempt; `fault` None means delivered.

    `code` is the HTTP status or the exit code. `retry_after` is in seconds from now. `response` is the beginning of the
    response body, or the tail of a script's output, cut to the limit. `lasting` marks a permanent fault: no retry can
    succeed (exit codes 64, 65, 77, 78; a body that cannot be built). `done` are the parts of the target that have the
    event now; the next attempt gets them in `Delivery.done`. `evidence` is the request and the response.
    """

    fault: Fault | None = None
    code: int | None = None
    retry_after: float | None = None
    response: bytes = b""
    error: str = ""
    lasting: bool = False
    done: tuple[str, ...] = ()
    evidence: Evidence | None = field(default=None, compare=False, repr=False)


@value(frozen=True, slots=True)
class Attempt:
    """One attempt as the history stores it. Times are in Unix seconds, the duration is in milliseconds."""

    number: int
    started_at: float
    duration_ms: float
    outcome: str
    code: int | None = None
    response: bytes = b""
    error: str = ""
    evidence: Evidence | None = None
    """The request and the response; None if nothing was sent."""


@value(frozen=True, slots=True)
class Delivered:
    """The target accepted the event."""


@value(frozen=True, slots=True)
class RetryLater:
    """The next attempt is due in `wait` seconds; with `uses_retry` False it uses no wait of the schedule.

    `hold`, if set, suspends the whole hook for that many seconds (Retry-After).
    """

    wait: float
    reason: str
    uses_retry: bool = True
    hold: float = 0.0


@value(frozen=True, slots=True)
class FailedForGood:
    """No further attempt is made; `pause_hook` also pauses the hook (410 Gone)."""

    reason: str
    pause_hook: bool = False


@value(frozen=True, slots=True)
class Parked:
    """The delivery was not attempted: its copy waits in the hook's lane."""

    reason: str


@value(frozen=True, slots=True)
class Skipped:
    """The event matched but is not delivered: the hook is disabled, or the event is a duplicate."""

    reason: str


Outcome = Delivered | RetryLater | FailedForGood | Parked | Skipped


TRANSITIONS: Mapping[tuple[Status, type[Outcome]], Status] = {
    (Status.PENDING, Delivered): Status.SUCCESS,
    (Status.PENDING, RetryLater): Status.RETRYING,
    (Status.PENDING, FailedForGood): Status.FAILED,
    (Status.PENDING, Parked): Status.PENDING,
    (Status.PENDING, Skipped): Status.SKIPPED,
    (Status.RETRYING, Delivered): Status.SUCCESS,
    (Status.RETRYING, RetryLater): Status.RETRYING,
    (Status.RETRYING, FailedForGood): Status.FAILED,
    (Status.RETRYING, Parked): Status.RETRYING,
    (Status.RETRYING, Skipped): Status.SKIPPED,
}
"""The status of a delivery before and after an outcome; docs/architecture.md shows it as a diagram."""


def status_before(delivery: Delivery) -> Status:
    """Returns the status of a delivery in flight: what an attempt met stays until it is retried by hand."""
    return Status.RETRYING if delivery.attempt > 1 and delivery.error else Status.PENDING


def status_after(outcome: Outcome, delivery: Delivery) -> Status:
    """Returns the delivery's status once `outcome` is committed."""
    return TRANSITIONS[status_before(delivery), type(outcome)]


@value(frozen=True, slots=True)
class Record:
    """The change of a delivery that one step commits to the history, as a monotonic upsert.

    `attempt` None means that no attempt was made (parked, skipped, hook deleted). The event's row is written with the
    first record of the event; later records leave it unchanged.
    """

    delivery: Delivery
    target: str
    status: Status
    reason: str
    at: float
    attempt: Attempt | None = None
    next_attempt_at: float | None = None
    waited: bool = False
    """True if the delivery came from a lane: the history has a row of it, or will have one, so its end must be
    recorded."""


@value(frozen=True, slots=True)
class Quarantined:
    """A message that could not be handled, stored whole with the reason. `source` is the source it came from."""

    id: str
    source: str
    reason: str
    detail: str
    at: float
    message: Message


@value(frozen=True, slots=True)
class Unmatched:
    """An event that no hook matched: only its own row is written."""

    event: Event


@value(frozen=True, slots=True)
class Unkept:
    """The final status of a delivery without rows (`storage.keep: failures`): it is only added to the statistics."""

    record: Record


@value(frozen=True, slots=True)
class Counted:
    """An event of a source with dimensions, whose values are added to the statistics; no row is written."""

    event: Event
    values: Mapping[str, str | int | float | bool]


@value(frozen=True, slots=True)
class Finished:
    """The end of a message: all its deliveries have a durable fate, so its deduplication leases can be completed.

    `claims` has the digest of the key and the event id of each event with a deduplication key.
    """

    claims: tuple[tuple[str, str], ...]


@value(frozen=True, slots=True)
class Reached:
    """The committed offset of a stream: every message up to `offset` has a committed fate (-1: none), and so has each
    message whose bit of `ahead` is set; the lowest bit is the message after `offset`.

    `digest` is that of the message at `offset`. `epoch` counts how often the stream was replaced by another stream of
    the same name; `since` is the Unix time from which to read if nothing was read yet.
    """

    queue: str
    offset: int
    ahead: int = 0
    digest: str = ""
    epoch: int = 0
    since: float = 0.0


@value(frozen=True, slots=True)
class Known:
    """The row of a delivery that the fence compares a copy with."""

    generation: int
    attempts: int
    final: bool


Entry = Record | Quarantined | Unmatched | Unkept | Counted | Finished | Reached
"""Everything that the pipeline writes to the history."""


def weight(entry: Entry) -> int:
    """Returns the bytes of the body that is written with this entry, unless the history has its event already."""
    match entry:
        case Record(delivery=delivery):
            return len(delivery.event.message.body)
        case Unmatched(event=event):
            return len(event.message.body)
        case Quarantined(message=message):
            return len(message.body)
        case Unkept() | Counted() | Finished() | Reached():
            return 0
        case _:
            assert_never(entry)
