"""The ports of the pipeline and the targets: publishing, acknowledging, targets, control, history, idempotency,
logins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from bridge.core.base import value
from bridge.core.delivery import Answer, Delivery, Entry, Evidence, Known
from bridge.core.event import Message
from bridge.core.hook import Hook


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish; always persistent, mandatory and confirmed."""

    exchange: str
    routing_key: str
    message_id: str
    body: bytes
    headers: Mapping[str, Any]
    like: Message
    """The source of content type, encoding, type, correlation id, app id and timestamp."""
    reply_to: str | None = None
    priority: int | None = None
    expiration: str | None = None
    """Set only on request: a copy of the bridge must not be replied to, be prioritized or expire."""

    @classmethod
    def to_queue(cls, queue: str, message_id: str, message: Message) -> "Outgoing":
        """Returns the message, as its publisher would send it to this queue."""
        return cls(
            "", queue, message_id, message.body, message.headers, message, message.reply_to, message.priority
        )


class Publisher(Protocol):
    """The port that publishes with confirms."""

    async def publish(self, message: Outgoing) -> None:
        """Publish and return once the broker confirmed that a queue holds the message.

        Raises Unroutable, PublishTooLarge, BrokerRefused, or PublishFailed (which includes a timeout).
        """

    async def declare(self, queue: str) -> None:
        """Ensure that a durable queue without arguments exists, by the rules for sources."""


class Copies(Protocol):
    """The retry queues of a delivery on the broker: the hook's lane and the retry ladder."""

    async def park(self, delivery: Delivery) -> None:
        """Publish a copy to the end of the hook's lane and return once it is confirmed. Raises PublishFailed."""

    async def delay(self, delivery: Delivery, seconds: float) -> None:
        """Publish a copy to the ladder, which reaches the lane at `delivery.not_before`, `seconds` from now."""

    async def set_aside(self, orphan: Message) -> None:
        """Publish a copy of an unknown hook to the queue of orphans. Raises PublishFailed."""


class AckHandle(Protocol):
    """The handle that settles one broker message, once."""

    @property
    def valid(self) -> bool:
        """Returns False once the channel is closed: the broker redelivers the message, settling does nothing."""

    def grow(self, byte_count: int) -> None:
        """Count this many more bytes of memory for the message."""

    def release(self) -> None:
        """Release the message's bytes from the memory budget; `finish` and `requeue` do so too."""

    def finish(self) -> None:
        """Acknowledge the message with the next flush of its channel: all its deliveries have a committed fate."""

    def requeue(self) -> None:
        """Requeue the message, of which nothing was started."""


Receive = Callable[[Message, AckHandle], None]
"""The callback for each message on the event loop; must not block and must not raise."""


# The target of a hook.


@value(frozen=True, slots=True)
class Preview:
    """The request that an attempt would send: evidence as the history stores it, and the body."""

    evidence: Evidence
    content: bytes
    content_type: str | None = None


class Target(Protocol):
    """The target of one hook: a webhook, a script, a queue, or notification services."""

    async def attempt(self, delivery: Delivery) -> Answer:
        """Make one attempt within the target's own timeout. Returns an Answer for every fault and never raises."""

    def preview(self, delivery: Delivery) -> Preview | Answer:
        """Returns the request that an attempt would send now, or the Answer that says why it cannot be built."""

    async def close(self) -> None:
        """Release the target's resources, after its in-flight attempts have ended."""


# Control messages between the replicas of a bridge.


Kind = Literal["hooks", "lane", "tokens", "jobs", "reload", "history"]
"""hooks: hooks or their states changed; lane: a hook got its lane (`about` is its id); tokens: tokens changed;
jobs: a replay was created or cancelled, or the outbox has entries; reload: the file must be reloaded (`about` is
the replica that has done so); history: the identity of the sender's history."""

UNSIGNED = "unsigned"
"""The last word of a `history` message without a valid code: from a bridge with another history, or forged."""


class Control(Protocol):
    """The port of control messages to all replicas, this one included. Lost messages are made up for within 30 s."""

    async def tell(self, kind: Kind, about: str = "") -> None:
        """Publishes the message and waits for it; never raises, as replicas also reconcile periodically."""

    def mention(self, kind: Kind, about: str = "") -> None:
        """Publish the message in the background."""

    def listen(self, kind: Kind, heard: Callable[[str], None]) -> None:
        """Calls `heard(about)` on the event loop for each message; with "" after a reconnect and every 30 s."""


# The history: the database record of events, deliveries and attempts.


@dataclass(frozen=True, slots=True)
class HookState:
    """The state of a hook in addition to its configuration; it survives restarts.

    `paused` is an automatic pause (410, only failures for days). Overrides of a hook from the file that were set
    through the API are in `said_enabled` and `said_paused`; None: as in the file. `reason` is that of the last pause,
    automatic or manual.
    """

    hook: str
    paused: bool
    reason: str
    at: float
    said_enabled: bool | None = None
    said_paused: bool | None = None

    @property
    def overlaid(self) -> bool:
        """Returns whether an override is set."""
        return self.said_enabled is not None or self.said_paused is not None

    def over(self, hook: Hook) -> Hook:
        """Returns the hook with its overrides applied."""
        said = {"enabled": self.said_enabled, "paused": self.said_paused}
        changes = {name: what for name, what in said.items() if what not in {None, getattr(hook, name)}}
        return hook.model_copy(update=changes) if changes else hook


@dataclass(frozen=True, slots=True)
class HistorySize:
    """The size of the history: bytes on disk, indexes included, and the number of quarantined messages."""

    bytes: int
    quarantined: int


class History(Protocol):
    """The port to the history, as the pipeline uses it."""

    async def commit(self, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
        """Write all entries in one transaction as monotonic upserts; returns the entries that the database rejected.

        Entries are rejected for their content, with the reason; all others are committed. Raises HistoryUnavailable,
        with nothing written, if the database cannot be reached.
        """

    async def known(self, deliveries: Sequence[str]) -> dict[str, Known]:
        """Returns the rows of these deliveries, in one statement; deliveries without a row are absent."""

    async def hook_states(self) -> dict[str, HookState]:
        """Returns the stored states by hook id; hooks without a state are absent."""

    async def set_hook_state(self, state: HookState) -> None:
        """Store the automatic pause of a hook (`paused`, `reason`, `at`); its overrides are left unchanged."""

    async def size(self) -> HistorySize:
        """Returns the size of the history. Raises HistoryUnavailable."""

    async def prune(self, finished_before: float, limit: int) -> int:
        """Delete at most `limit` events, with their rows, whose deliveries are all final since before that Unix
        time, and quarantined messages of the same age; returns the number of events deleted.
        """


# Idempotency of publish requests.


@value(frozen=True, slots=True)
class Begun:
    """The result of starting a request under an idempotency key.

    go: the key is new, or its first request failed or timed out; `answer` is the response that the first request
    planned. done: the request was completed with `answer`. other: the key belongs to a different request. busy: the
    first request is in-flight.
    """

    state: Literal["go", "done", "other", "busy"]
    answer: str = ""


# Logins with tokens, which expire and are renewed in time, and logins to the database.


class Grant(NamedTuple):
    """A token that is valid until `expires_at`. Times are the event loop's, in seconds."""

    token: str
    renew_at: float
    expires_at: float


class TokenProvider(Protocol):
    """The port that provides tokens to log in to a broker; several connections share one provider."""

    async def get(self, since: float) -> Grant:
        """Returns a token that was requested at `since` or later (the event loop's time); callers share one request.

        Has a timeout. Raises BrokerUnavailable if a retry may succeed, BrokerRefused if the operator must change
        something.
        """


class DatabaseLogin(Protocol):
    """The port that provides the login to the database, at each connection, because passwords are rotated."""

    async def now(self) -> tuple[str | None, str | None]:
        """Returns user and password; None: the driver's defaults (PGUSER, a password file)."""

    def refused(self, why: str) -> None:
        """Called when the server rejected the login."""

    def taken(self) -> None:
        """Called when the server accepted the login."""
