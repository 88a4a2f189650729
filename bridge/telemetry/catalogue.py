"""The catalogue of metrics: name, labels, meaning. The table in docs/metrics.md is generated from it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import nan

_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ATTEMPT = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
"""The buckets: few, since each hook has its own: seventeen made a scrape of 200 hooks half as long again."""
_AGE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 1800, 7200, 21_600, 86_400, 604_800)
LATE_AFTER = 60.0
"""Seconds after which a delivery counts as late: the objective of the SLO rules in deploy/prometheus."""
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000, 10_000)


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Fold(StrEnum):
    """The way to combine several gauges with the same labels into one sample."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


FOLDS: dict[Fold, Callable[[Iterable[float]], float]] = {Fold.SUM: sum, Fold.MAX: max, Fold.MIN: min}


@dataclass(frozen=True, slots=True)
class Spec:
    """A metric. Label values are bounded: never a URL, an id of an event, or the text of an error."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    fold: Fold = Fold.SUM
    start: float = 0
    """The value of a gauge before it is set; NaN: it has no sample yet."""


def _counter(name: str, help_: str, *labels: str) -> Spec:
    return Spec(f"bridge_{name}", Kind.COUNTER, help_, labels)


def _gauge(name: str, help_: str, *labels: str, fold: Fold = Fold.SUM, start: float = 0) -> Spec:
    return Spec(f"bridge_{name}", Kind.GAUGE, help_, labels, fold=fold, start=start)


def _histogram(name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Spec:
    return Spec(f"bridge_{name}", Kind.HISTOGRAM, help_, labels, buckets)


EVENTS_RECEIVED = _counter("events_received_total", "Messages received from a source.", "source")
EVENTS_SETTLED = _counter(
    "events_settled_total",
    "Settled source messages by result (acked, given_back: returned to the broker).",
    "source",
    "result",
)
EVENTS_UNMATCHED = _counter("events_unmatched_total", "Events that no hook matched.", "source")
REDELIVERED = _counter("redelivered_total", "Source messages that the broker redelivered.", "source")
DUPLICATES = _counter(
    "duplicates_total",
    "Duplicate events, which some or all hooks had received before: redelivered (by the broker, after a fate was "
    "committed), published (twice by their publisher, see dedupe).",
    "source",
    "kind",
)
WITHOUT_KEY = _counter(
    "dedupe_without_key_total",
    "Events without a key on sources with dedupe; they are never treated as duplicates.",
    "source",
)
FILTER_ERRORS = _counter(
    "filter_errors_total",
    "Filter evaluations that failed, such as for a missing key; the hook does not match.",
    "hook",
)
EVENTS_QUARANTINED = _counter(
    "events_quarantined_total",
    "Messages that could not be handled and went to quarantine.",
    "source",
    "reason",
)
DELIVERIES = _counter(
    "deliveries_total",
    "Deliveries that reached a final status (SUCCESS, FAILED, SKIPPED).",
    "hook",
    "target",
    "status",
)
ATTEMPTS = _counter("attempts_total", "Attempts by outcome.", "hook", "target", "outcome")
ATTEMPT_DURATION = _histogram(
    "attempt_duration_seconds", "Duration of attempts.", _ATTEMPT, "hook", "target", "outcome"
)
EVENT_AGE = _histogram(
    "event_age_seconds", "Time from the first receipt of an event to its successful delivery.", _AGE
)
LATE = _counter(
    "deliveries_late_total",
    f"Deliveries that succeeded more than {LATE_AFTER:g} s after their event was first seen.",
    "hook",
    "target",
)
OLDEST_WAITING = _gauge(
    "oldest_waiting_seconds", "Age of the hook's oldest waiting delivery.", "hook", fold=Fold.MAX
)
RETRIES_SCHEDULED = _counter("retries_scheduled_total", "Retries scheduled on the ladder.", "hook")
PARKED = _counter(
    "parked_total", "Deliveries parked in the hook's lane instead of being attempted.", "hook", "reason"
)
STALE_COPIES = _counter(
    "stale_copies_total", "Copies dropped because their delivery was final or had been restarted."
)
CONTROL_FORGED = _counter(
    "control_forged_total",
    "Control messages without a valid signature; they are ignored.",
)
IN_FLIGHT = _gauge("in_flight", "Attempts in flight.", "hook")
BREAKER_STATE = _gauge(
    "breaker_state",
    "State of the hook's circuit breaker: 0 closed, 1 probing, 2 open.",
    "hook",
    fold=Fold.MAX,
)
HOOK_BROKEN = _gauge(
    "hook_broken",
    "1 while the hook's configuration is invalid: its events wait in its lane, or its last valid version stays active.",
    "hook",
    fold=Fold.MAX,
)
HOOK_PAUSED = _gauge("hook_paused", "1 while the hook is paused.", "hook", fold=Fold.MAX)
HOOK_FAILING = _gauge(
    "hook_failing",
    "1 while the hook only fails: at least three failed attempts since its last success.",
    "hook",
    fold=Fold.MAX,
)
HOOK_INFO = _gauge("hook_info", "Always 1; maps the id of a hook to its name.", "hook", "name", fold=Fold.MAX)
CONSUMER_UP = _gauge(
    "consumer_up",
    "1 while the queue is consumed, 0 while it should be and is not. A lane that should not be consumed (its "
    "hook is paused, its breaker open) has no sample.",
    "queue",
    fold=Fold.MIN,
    start=nan,
)
CONSUMERS_LOST = _counter(
    "consumers_lost_total",
    "Consumers that were lost and subscribed again, by reason: cancelled (queue deleted or its node "
    "lost), timeout (the broker's consumer timeout), refused (another channel error), connection, silent "
    "(nothing received although messages were ready).",
    "reason",
)
LAST_MESSAGE = _gauge(
    "last_message_timestamp_seconds",
    "Unix time of the last message from the queue.",
    "queue",
    fold=Fold.MAX,
    start=nan,
)
CONNECTION_UP = _gauge(
    "connection_up", "1 while the connection to the broker is open.", "role", fold=Fold.MIN
)
LOGIN_REFUSED = _gauge(
    "login_refused",
    "1 while the login of the connection has been refused for longer than broker.outage_after or storage.outage_after "
    "(role: consume, publish, topology, publish:<broker>, database).",
    "role",
    fold=Fold.MAX,
)
CONNECTION_BLOCKED = _gauge(
    "connection_blocked", "1 while the broker blocks publishing on the connection.", "role", fold=Fold.MAX
)
RECONNECTS = _counter("reconnects_total", "Reconnections to the broker.", "role")
PUBLISH = _counter("publish_total", "Publishes by the broker's answer.", "outcome")
PUBLISH_CONFIRM = _histogram(
    "publish_confirm_seconds", "Time from a publish to the broker's confirm.", _SHORT
)
SOURCE_INFO = _gauge(
    "source_info", "Always 1; maps a source to its queue.", "source", "queue", fold=Fold.MAX, start=1
)
SOURCE_CONTRACT_MISMATCH = _gauge(
    "source_contract_mismatch",
    "Whether the source queue differs from its publishers' declaration: 0 no, 1 yes, -1 unknown (no permission).",
    "source",
    start=nan,
)
DATABASE_UP = _gauge(
    "database_up",
    "1 while the database responds, else 0. Updated at each commit and twice a minute.",
    fold=Fold.MIN,
    start=nan,
)
CERTIFICATE_EXPIRY = _gauge(
    "certificate_expiry_timestamp_seconds",
    "Unix time at which a client certificate, or the first of its chain, expires, by use (broker, broker:<name>, "
    "database, hook:<id>). Updated four times a minute; limited to the 200 that expire first.",
    "use",
    fold=Fold.MIN,
)
TOKEN_EXPIRY = _gauge(
    "token_expiry_timestamp_seconds",
    "Unix time at which the next API token with a lifetime of 30 days or more expires; no sample if none does.",
    fold=Fold.MIN,
    start=nan,
)
HISTORY_COMMIT = _histogram("history_commit_seconds", "Duration of one transaction of the history.", _SHORT)
HISTORY_BATCH = _histogram("history_batch_size", "Entries in one transaction of the history.", _ROWS)
HISTORY_BYTES = _gauge(
    "history_bytes",
    "Size of the history: the SQLite file and its log, or the PostgreSQL tables with indexes. Updated twice "
    "a minute; the same on all replicas.",
    fold=Fold.MAX,
    start=nan,
)
QUARANTINE_SIZE = _gauge(
    "quarantine_size",
    "Messages in quarantine. Updated twice a minute; the same on all replicas.",
    fold=Fold.MAX,
    start=nan,
)
HTTP_CONNECTIONS = _counter(
    "http_connections_total", "Webhook requests by whether their connection was reused.", "reused"
)
SCRIPT_EXIT = _counter("script_exit_total", "Script runs by exit code.", "hook", "code")
STREAM_OFFSET = _gauge(
    "stream_offset",
    "Offset up to which all messages of the source's stream are settled.",
    "source",
    fold=Fold.MAX,
    start=nan,
)
QUEUE_DEPTH = _gauge("queue_depth", "Messages ready in the queue.", "queue", start=nan)
LADDER_OVERDUE = _gauge(
    "ladder_overdue",
    "Messages that are still on a step of the ladder after their time. Those that a full lane refuses are counted by the broker "
    "alone: rabbitmq_detailed_queue_messages without the ready ones.",
    "step",
    fold=Fold.MAX,
)
LADDER_GONE = _gauge(
    "ladder_gone",
    "Copies that left a step of the ladder early: purged, deleted or expired by a policy.",
    "step",
    fold=Fold.MAX,
)
INLET_REQUESTS = _counter(
    "inlet_requests_total",
    "Requests to inlets by response (accepted, ping, handshake, probe, refused, method, malformed, too_large, "
    "headers_too_large, too_slow, too_many, unavailable).",
    "inlet",
    "answer",
)
MEMORY_BUDGET = _gauge(
    "memory_budget_bytes",
    "Maximum bytes of messages and derived data that the process may hold (limits.memory).",
)
MEMORY_HELD = _gauge(
    "memory_held_bytes",
    "Bytes held, by holder: arriving (from the broker), sources and lanes (messages and parsed data), "
    "rendered (request bodies), publishing (copies on the way to the broker), inlets and api (requests).",
    "holder",
)
BUILD_INFO = _gauge(
    "build_info", "Always 1; versions of the bridge and of Python.", "version", "python", fold=Fold.MAX
)

CATALOGUE: tuple[Spec, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Spec))
