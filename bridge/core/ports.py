"""What the pipeline and the targets ask of the message broker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from bridge.core.base import value
from bridge.core.delivery import Answer, Delivery, Entry, Evidence, Known, Reached
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
    """Content type, encoding, type, correlation id, app id and timestamp are taken from here."""
    reply_to: str | None = None
    priority: int | None = None
    expiration: str | None = None
    """These three only where they are given: a copy of ours must not be answered, overtake others or vanish."""


class Publisher(Protocol):
    """Confirmed publishing."""

    async def publish(self, message: Outgoing) -> None:
        """Return once the broker confirmed that a queue holds it.

        Raises Unroutable, PublishTooLarge, BrokerRefused, or PublishFailed (which includes no answer in time).
        """
        ...

    async def declare(self, queue: str) -> None:
        """Make sure that a durable queue without arguments exists, by the rules for sources."""
        ...


class Copies(Protocol):
    """A hook's lane and the ladder: where a delivery waits on the broker."""

    async def park(self, delivery: Delivery) -> None:
        """Put a copy at the end of the hook's lane; returns once it is confirmed, else raises PublishFailed."""
        ...

    async def delay(self, delivery: Delivery, seconds: float) -> None:
        """Put a copy on the ladder so that it reaches the lane at `delivery.not_before`, `seconds` from now."""
        ...

    async def set_aside(self, orphan: Message) -> None:
        """Put a copy of an unknown hook at the end of the queue of orphans; raises as `park` does."""
        ...


class AckHandle(Protocol):
    """The right to settle one broker message, once."""

    @property
    def valid(self) -> bool:
        """False once the channel is gone: the broker will redeliver, and settling does nothing."""
        ...

    def grow(self, octets: int) -> None:
        """So many bytes of memory more are held for the message."""
        ...

    def let_go(self) -> None:
        """The message is held no more, whoever still has this; finishing it and giving it back do that, too."""
        ...

    def finish(self) -> None:
        """All that the message carried has a committed fate; acked with the next flush of its channel."""
        ...

    def give_back(self) -> None:
        """Nothing of it was started: the broker may hand it to another consumer."""
        ...


Receive = Callable[[Message, AckHandle], None]
"""Called for each message on the event loop; must not block and must not raise."""


# Where a hook delivers.


@value(frozen=True, slots=True)
class Preview:
    """What an attempt would send: all of it but the body as the history keeps it, and the body."""

    evidence: Evidence
    content: bytes
    content_type: str | None = None


class Target(Protocol):
    """One hook's way out: a webhook, a script, a queue."""

    async def attempt(self, delivery: Delivery) -> Answer:
        """Try once, within the target's own time limit; every fault is an Answer, never an exception."""
        ...

    def preview(self, delivery: Delivery) -> Preview | Answer:
        """What an attempt would send now; where it could not be built, the Answer that says why."""
        ...

    async def close(self) -> None:
        """Let go of what this target holds; attempts under way have ended before."""
        ...


# How the replicas of a bridge tell each other that something changed.


Kind = Literal["hooks", "lane", "tokens", "jobs", "reload", "history"]
"""hooks: hooks or their states changed; lane: a hook has a lane now (`about` is its id); tokens: tokens changed; jobs:
a replay was made or cancelled, or something is in the outbox; reload: the file is to be read anew (`about` is the replica
that has done so); history: which history the bridge has that says so."""

UNSIGNED = "unsigned"
"""Last word of what is heard of `history` from somebody without our keys: that of a bridge with another history, or a
forged one.
"""


class Control(Protocol):
    """A word to all replicas, this one included; whoever misses it hears of everything within 30 s."""

    async def tell(self, kind: Kind, about: str = "") -> None:
        """Tell all; never raises: the database holds the truth, and everybody looks into it by and by."""
        ...

    def mention(self, kind: Kind, about: str = "") -> None:
        """`tell` in the background."""
        ...

    def listen(self, kind: Kind, heard: Callable[[str], None]) -> None:
        """Call `heard(about)` on the event loop for each word; with "" after a reconnect and every 30 s."""
        ...


# The database record of events, deliveries and attempts.


@dataclass(frozen=True, slots=True)
class HookState:
    """What the bridge or a person said about a hook beside its configuration; it survives restarts.

    `paused` is the bridge's own pause (410, only failures for days). What a person said of a hook from the file stands
    in `said_enabled` and `said_paused`; None: as the file has it. `reason` is that of the last pause, whoever said it.
    """

    hook: str
    paused: bool
    reason: str
    at: float
    said_enabled: bool | None = None
    said_paused: bool | None = None

    @property
    def overlaid(self) -> bool:
        """Whether a person said something of it."""
        return self.said_enabled is not None or self.said_paused is not None

    def over(self, hook: Hook) -> Hook:
        """The hook with what a person said of it in force."""
        said = {"enabled": self.said_enabled, "paused": self.said_paused}
        changes = {name: what for name, what in said.items() if what not in {None, getattr(hook, name)}}
        return hook.model_copy(update=changes) if changes else hook


@dataclass(frozen=True, slots=True)
class HistorySize:
    """How much there is: `bytes` on the disk, indexes included, and messages in quarantine."""

    bytes: int
    quarantined: int


class History(Protocol):
    """What the pipeline asks of the database."""

    async def commit(self, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
        """Write all entries in one transaction as monotonic upserts.

        Gives back the entries that the database refuses for what they hold, with the reason; all others are
        committed. Raises HistoryUnavailable, with nothing written, when the database cannot be reached.
        """
        ...

    async def known(self, deliveries: Sequence[str]) -> dict[str, Known]:
        """What is recorded of these deliveries, in one statement; those without a row are absent."""
        ...

    async def hook_states(self) -> dict[str, HookState]:
        """The stored state of every hook that has one, by hook id."""
        ...

    async def set_hook_state(self, state: HookState) -> None:
        """Store what the bridge itself says of a hook (`paused`, `reason`, `at`); what a person said stays."""
        ...

    async def size(self) -> HistorySize:
        """How much there is; raises HistoryUnavailable."""
        ...

    async def prune(self, finished_before: float, limit: int) -> int:
        """Delete at most `limit` events whose deliveries are all final since before that Unix time, with all
        that belongs to them, and quarantined messages as old; gives the number of events deleted.
        """
        ...


# What makes a publish that is asked for twice happen once.


@value(frozen=True, slots=True)
class Begun:
    """Whether to go on with a request under an idempotency key.

    go: nobody has, or whoever did failed or is gone; `answer` is what to answer then, of the first who began. done:
    answered with `answer` before. other: the key belongs to another request. busy: it is under way.
    """

    state: Literal["go", "done", "other", "busy"]
    answer: str = ""


class Idempotency(Protocol):
    """Requests under way and done, by key. All raise HistoryUnavailable."""

    async def begin(self, key: str, request: str, answer: str, at: float) -> Begun:
        """Take the key for the request with this digest, which plans this answer; keys of more than a day before
        are forgotten.
        """
        ...

    async def done(self, key: str) -> None:
        """The planned answer was given."""
        ...

    async def failed(self, key: str) -> None:
        """Nothing was accepted: whoever asks again begins anew, with the same planned answer."""
        ...


# Tokens that log in to a broker: each ends, and another takes its place before.


class Grant(NamedTuple):
    """A token that is good until `expires_at`. Times are the event loop's."""

    token: str
    renew_at: float
    expires_at: float


class TokenProvider(Protocol):
    """Where tokens come from; several connections share one."""

    async def get(self, since: float) -> Grant:
        """A token that was asked for at `since` or later (the event loop's time), by one request for all who wait.

        Bounded in time. Raises BrokerUnavailable when another try may help, BrokerRefused when somebody has to
        change something first.
        """
        ...


class DatabaseLogin(Protocol):
    """Who the bridge is to the database's server: asked for at each connection, since passwords are exchanged."""

    async def now(self) -> tuple[str | None, str | None]:
        """User and password; None: as the driver finds them (PGUSER, a file of passwords)."""
        ...

    def refused(self, why: str) -> None:
        """The server refused them."""
        ...

    def taken(self) -> None:
        """The server took them."""
        ...


# Where to go on in streams.


class StreamPlaces(Protocol):
    """How far each stream has been read. All raise HistoryUnavailable."""

    async def stored(self, queue: str) -> Reached | None:
        """Where to go on; None: it was never read."""
        ...

    async def store(self, reached: Reached) -> None:
        """Write down where to go on, apart from any delivery."""
        ...
