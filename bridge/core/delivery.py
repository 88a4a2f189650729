"""One event for one hook: the delivery, what an attempt met, and what it came to."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import assert_never

from bridge.core.base import value
from bridge.core.event import Event, Message

# What an attempt sent and heard, beside the bodies.


@value(frozen=True, slots=True)
class Form:
    """What is the same in many attempts, as JSON; `id` is made of it."""

    id: str
    text: str


@value(frozen=True, slots=True)
class Evidence:
    """One attempt's: forms, and the values that change, of `sent` first; `heard` None: there was no answer.

    `digest` is the SHA-256 of the body as it was sent. See bridge.wire.evidence.
    """

    sent: Form
    heard: Form | None
    digest: str
    values: tuple[str, ...]


@value(frozen=True, slots=True)
class KnownEvidence:
    """The same, told: where it went and how, with what headers, and what came back (None: no answer).

    Secrets and signatures are shortened. `settings` is a digest of what was configured of the target.
    """

    type: str
    to: str
    method: str | None
    settings: str
    headers: tuple[tuple[str, str], ...]
    body_sha256: str
    answered: tuple[tuple[str, str], ...] | None


class Status(StrEnum):
    """Where a delivery stands; SUCCESS, FAILED and SKIPPED are final and never change again."""

    PENDING = "PENDING"
    RETRYING = "RETRYING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


FINAL = frozenset({Status.SUCCESS, Status.FAILED, Status.SKIPPED})

DUPLICATE = "duplicate"
"""Reason of a delivery that is skipped because its publisher sent the event before (`dedupe`)."""


@value(frozen=True, slots=True)
class Delivery:
    """One event for one hook, ready for its next attempt.

    `attempt` is the number of the next attempt, from 1. `retries` is how many waits of the hook's schedule
    are used up: a failed probe of an open breaker makes an attempt without using a wait. It waits from `waits_from` to
    `not_before`. `generation` rises
    when a person starts the delivery anew, at `restarted_at` (0: never). `done` names the parts of the target that
    have it already, in words of the target's own (a notify target with several URLs). `provisional`: its hook could not
    be read when the event came, so that it is matched once more before its first attempt. Times are Unix seconds.
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


class Fault(StrEnum):
    """What went wrong in an attempt, as a closed set of kinds (also the label `outcome` of metrics)."""

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
    """What one attempt met at its target; `fault` None means it was delivered.

    `code` is the HTTP status or the exit code. `retry_after` is in seconds from now. `response` is the
    beginning of a body, or the tail of a script's output, already cut to the limit. `lasting` marks a fault
    that no later attempt can mend (exit 64/65/77/78, a body that cannot be built). `done` are the parts of the
    target that have the event now; the next attempt finds them in `Delivery.done`. `evidence` is what was sent and heard.
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
    """One try of a delivery as the history keeps it. Times are Unix seconds, the duration milliseconds."""

    number: int
    started_at: float
    duration_ms: float
    outcome: str
    code: int | None = None
    response: bytes = b""
    error: str = ""
    evidence: Evidence | None = None
    """What was sent and heard; None where nothing was sent."""


@value(frozen=True, slots=True)
class Delivered:
    """The target took it."""


@value(frozen=True, slots=True)
class RetryLater:
    """Try again `wait` seconds from now; `uses_retry` False keeps its place in the schedule.

    `hold` seconds, where given, hold the whole hook back (Retry-After).
    """

    wait: float
    reason: str
    uses_retry: bool = True
    hold: float = 0.0


@value(frozen=True, slots=True)
class FailedForGood:
    """No further attempt; `pause_hook` asks that the hook be paused, loudly (410 Gone)."""

    reason: str
    pause_hook: bool = False


@value(frozen=True, slots=True)
class Parked:
    """Not attempted now: it waits in the hook's lane."""

    reason: str


@value(frozen=True, slots=True)
class Skipped:
    """Matched, but the hook is disabled, or the event came before."""

    reason: str


Outcome = Delivered | RetryLater | FailedForGood | Parked | Skipped


def status_after(outcome: Outcome, delivery: Delivery) -> Status:
    """The delivery's status once `outcome` is committed."""
    match outcome:
        case Delivered():
            return Status.SUCCESS
        case RetryLater():
            return Status.RETRYING
        case FailedForGood():
            return Status.FAILED
        case Parked():
            # What an attempt met stays with the delivery until it is started anew.
            return Status.PENDING if delivery.attempt == 1 or not delivery.error else Status.RETRYING
        case Skipped():
            return Status.SKIPPED
        case _:
            assert_never(outcome)


@value(frozen=True, slots=True)
class Record:
    """What the history is to know of a delivery after one step: written as monotonic upserts.

    `attempt` None means that nothing was tried (parked, skipped, deleted hook). The event's row is written with
    the first record of the event that arrives; later ones leave it as it is.
    """

    delivery: Delivery
    target: str
    status: Status
    reason: str
    at: float
    attempt: Attempt | None = None
    next_attempt_at: float | None = None
    waited: bool = False
    """It came out of a lane, so the history knows it, or soon will: its end must be told."""


@value(frozen=True, slots=True)
class Quarantined:
    """A message that could not be handled, kept whole with the reason. `source` is where it came from."""

    id: str
    source: str
    reason: str
    detail: str
    at: float
    message: Message


@value(frozen=True, slots=True)
class Unmatched:
    """An event that no hook asked for: only its own row is written."""

    event: Event


@value(frozen=True, slots=True)
class Unkept:
    """The end of a delivery of which no rows are kept (`storage.keep: failures`): it only counts in the sums."""

    record: Record


@value(frozen=True, slots=True)
class Counted:
    """An event of a source that is measured, once: its values by dimension go into the sums, and no row is written."""

    event: Event
    values: Mapping[str, str | int | float | bool]


@value(frozen=True, slots=True)
class Finished:
    """All deliveries of a message have their fate: it needs no further look at what its source took it for.

    `claims` has the digest of the key and the event's id of each of its events that has a key.
    """

    claims: tuple[tuple[str, str], ...]


@value(frozen=True, slots=True)
class Reached:
    """How far a stream has been read: every message up to `offset` has its committed fate (-1: none), and so have those of
    which a bit of `ahead` is set, the lowest bit being the message behind it.

    `digest` is that of the message at `offset`. `epoch` counts how often the stream was found to be another one; `since` is
    the Unix time from which on to read where nothing was read yet.
    """

    queue: str
    offset: int
    ahead: int = 0
    digest: str = ""
    epoch: int = 0
    since: float = 0.0


@value(frozen=True, slots=True)
class Known:
    """What the history already knows of a delivery (the fence looks at it)."""

    generation: int
    attempts: int
    final: bool


Entry = Record | Quarantined | Unmatched | Unkept | Counted | Finished | Reached
"""All that the history is ever told while messages flow."""


def weight(entry: Entry) -> int:
    """Bytes of the body that is written with it, unless the history has its event already."""
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
