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


EVENTS_RECEIVED = _counter("events_received_total", "Messages taken from a source.", "source")
EVENTS_SETTLED = _counter(
    "events_settled_total", "Source messages settled, by how (acked, given_back).", "source", "result"
)
EVENTS_UNMATCHED = _counter("events_unmatched_total", "Events that no hook asked for.", "source")
REDELIVERED = _counter("redelivered_total", "Source messages that the broker handed out again.", "source")
DUPLICATES = _counter(
    "duplicates_total",
    "Events not delivered, or not to all hooks, because they were before: redelivered (by the broker, after a fate was "
    "committed), published (by their publisher twice, see dedupe).",
    "source",
    "kind",
)
WITHOUT_KEY = _counter(
    "dedupe_without_key_total",
    "Events of sources with dedupe that have no key: they are delivered, whatever came before.",
    "source",
)
FILTER_ERRORS = _counter(
    "filter_errors_total", "Filters that came to neither true nor false (a missing key): no match.", "hook"
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
ATTEMPTS = _counter("attempts_total", "Attempts, by what they came to.", "hook", "target", "outcome")
ATTEMPT_DURATION = _histogram(
    "attempt_duration_seconds", "Duration of attempts.", _ATTEMPT, "hook", "target", "outcome"
)
EVENT_AGE = _histogram(
    "event_age_seconds", "From the moment an event was first seen to a successful delivery.", _AGE
)
LATE = _counter(
    "deliveries_late_total",
    f"Deliveries that succeeded more than {LATE_AFTER:g} s after their event was first seen.",
    "hook",
    "target",
)
OLDEST_WAITING = _gauge(
    "oldest_waiting_seconds", "Age of the oldest delivery that waits for the hook.", "hook", fold=Fold.MAX
)
RETRIES_SCHEDULED = _counter("retries_scheduled_total", "Retries put on the ladder.", "hook")
PARKED = _counter(
    "parked_total", "Deliveries put into the hook's lane instead of attempted.", "hook", "reason"
)
STALE_COPIES = _counter(
    "stale_copies_total", "Copies dropped because their delivery was final or started anew."
)
CONTROL_FORGED = _counter(
    "control_forged_total",
    "Messages to replicas (exchange control) that no replica of this history sent; they are ignored.",
)
IN_FLIGHT = _gauge("in_flight", "Attempts under way.", "hook")
BREAKER_STATE = _gauge(
    "breaker_state", "Breaker of the hook: 0 closed, 1 probing, 2 open.", "hook", fold=Fold.MAX
)
HOOK_BROKEN = _gauge(
    "hook_broken",
    "1 while the hook cannot be served as it is written: what it asks for waits in its lane, or it stays as it was.",
    "hook",
    fold=Fold.MAX,
)
HOOK_PAUSED = _gauge("hook_paused", "1 while the hook is paused.", "hook", fold=Fold.MAX)
HOOK_FAILING = _gauge(
    "hook_failing",
    "1 while the hook only fails: three attempts at the least since its last success.",
    "hook",
    fold=Fold.MAX,
)
HOOK_INFO = _gauge("hook_info", "1; name of the hook with an id.", "hook", "name", fold=Fold.MAX)
CONSUMER_UP = _gauge(
    "consumer_up",
    "1 while the queue is being consumed, 0 while it is meant to be and is not. A lane that nobody is meant to consume (its "
    "hook is paused, its breaker open) has no sample.",
    "queue",
    fold=Fold.MIN,
    start=nan,
)
CONSUMERS_LOST = _counter(
    "consumers_lost_total",
    "Consumers that ended without our doing and were subscribed anew, by why: cancelled (queue deleted or its node "
    "lost), timeout (the broker's consumer timeout), refused (another error of the channel), connection, silent "
    "(nothing came although messages were ready).",
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
RECONNECTS = _counter("reconnects_total", "Connections to the broker made anew.", "role")
PUBLISH = _counter("publish_total", "Publishes, by what the broker answered.", "outcome")
PUBLISH_CONFIRM = _histogram("publish_confirm_seconds", "From a publish to the broker's confirm.", _SHORT)
SOURCE_INFO = _gauge("source_info", "1; queue of the source.", "source", "queue", fold=Fold.MAX, start=1)
SOURCE_CONTRACT_MISMATCH = _gauge(
    "source_contract_mismatch",
    "Source queue as its publishers declare it: 0 yes, 1 no, -1 unknown (no right to look).",
    "source",
    start=nan,
)
DATABASE_UP = _gauge(
    "database_up",
    "1 while the database answers, 0 while it does not. Seen at each commit, and twice a minute.",
    fold=Fold.MIN,
    start=nan,
)
CERTIFICATE_EXPIRY = _gauge(
    "certificate_expiry_timestamp_seconds",
    "Unix time at which a client certificate ends, or the first one of its chain, by its use (broker, broker:<name>, "
    "database, hook:<id>). Looked at once a minute; beyond 200 those that end first.",
    "use",
    fold=Fold.MIN,
)
TOKEN_EXPIRY = _gauge(
    "token_expiry_timestamp_seconds",
    "Unix time at which the next token of the API ends, of those made for 30 days or more; no sample if none ends.",
    fold=Fold.MIN,
    start=nan,
)
HISTORY_COMMIT = _histogram("history_commit_seconds", "Duration of one transaction of the history.", _SHORT)
HISTORY_BATCH = _histogram("history_batch_size", "Entries in one transaction of the history.", _ROWS)
HISTORY_BYTES = _gauge(
    "history_bytes",
    "Size of the history: of the SQLite file and its log, or of the tables in PostgreSQL with their indexes. Looked at twice "
    "a minute; the same on all replicas.",
    fold=Fold.MAX,
    start=nan,
)
QUARANTINE_SIZE = _gauge(
    "quarantine_size",
    "Messages in quarantine. Looked at twice a minute; the same on all replicas.",
    fold=Fold.MAX,
    start=nan,
)
HTTP_CONNECTIONS = _counter("http_connections_total", "Connections used for webhooks, by reused.", "reused")
SCRIPT_EXIT = _counter("script_exit_total", "Exit codes of scripts.", "hook", "code")
STREAM_OFFSET = _gauge(
    "stream_offset",
    "Offset up to which every message of the source's stream is done.",
    "source",
    fold=Fold.MAX,
    start=nan,
)
QUEUE_DEPTH = _gauge("queue_depth", "Messages ready in the queue.", "queue", start=nan)
LADDER_OVERDUE = _gauge(
    "ladder_overdue",
    "Messages that a step of the ladder holds and should have left it.",
    "step",
    fold=Fold.MAX,
)
LADDER_GONE = _gauge(
    "ladder_gone",
    "Copies that left a step of the ladder before their time: purged, deleted or let go by a policy.",
    "step",
    fold=Fold.MAX,
)
INLET_REQUESTS = _counter(
    "inlet_requests_total",
    "Requests to inlets, by how they were answered (accepted, ping, handshake, probe, refused, method, malformed, too_large, "
    "headers_too_large, too_slow, too_many, unavailable).",
    "inlet",
    "answer",
)
MEMORY_BUDGET = _gauge(
    "memory_budget_bytes",
    "What the process may hold of messages and of what is made of them (limits.memory).",
)
MEMORY_HELD = _gauge(
    "memory_held_bytes",
    "What it holds, by holder: arriving (from the broker), sources and lanes (messages and what is parsed of them), "
    "rendered (bodies made for receivers), publishing (copies on their way to the broker), inlets and api (requests).",
    "holder",
)
BUILD_INFO = _gauge(
    "build_info", "1; version of the bridge and of Python.", "version", "python", fold=Fold.MAX
)

CATALOGUE: tuple[Spec, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Spec))
