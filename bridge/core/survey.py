"""The findings of `doctor` on the broker, in the database and at the bridge's own address, as values."""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, NamedTuple

from bridge.core.base import value

# The owner of a history: one prefix on one broker.


class Owner(NamedTuple):
    """The bridge that owns a history: its prefix, its broker's cluster name and virtual host."""

    prefix: str
    broker: str
    vhost: str

    def __str__(self) -> str:
        return f"{self.prefix} on {self.broker or 'a broker without a name'}, vhost {self.vhost}"

    def is_another(self, than: "Owner") -> bool:
        """Returns whether the owners differ; a broker without a cluster name equals any broker."""
        named = bool(self.broker and than.broker)
        return (self.prefix, self.vhost) != (than.prefix, than.vhost) or (
            named and self.broker != than.broker
        )


def refusal(found: Owner, bridge: str) -> str:
    """Returns the error text for `bridge` using a history that belongs to `found`, with the remedy."""
    return (
        f"this history belongs to `{found}`, and this bridge is `{bridge}`: give this one a storage.url of its own. If "
        "it is the same bridge, because its prefix changed, the broker was renamed or replaced, or this is a restored "
        f"backup, and no other bridge uses this history: start it with BRIDGE_STORAGE__TAKE_OVER='{found}'"
    )


# Queue types and the arguments that change how the bridge consumes a queue.


QueueType = Literal["classic", "quorum", "stream", "unknown"]


@value(frozen=True, slots=True)
class QueueKind:
    """A queue's type and arguments; `whole`: these are all arguments of its declaration (policies are not visible).

    `taken` is the broker's error if another consumer has exclusive access.
    """

    type: QueueType = "unknown"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    taken: str = ""

    @property
    def is_stream(self) -> bool:
        """Returns whether the queue is a stream: messages stay after being read, each reader stores its offset."""
        return self.type == "stream"

    @property
    def has_standbys(self) -> bool:
        """Returns whether the queue has a single active consumer, with the others on standby."""
        return self.arguments.get("x-single-active-consumer") is True

    def number(self, argument: str) -> int | None:
        """Returns the argument if it is a number."""
        found = self.arguments.get(argument)
        return found if isinstance(found, int) and not isinstance(found, bool) else None


def release_of(version: str) -> tuple[int, ...]:
    """Returns major and minor number of a broker version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


Kind = Literal["queue", "exchange"]
OUR_CONSUMERS = "bridge."
"""The prefix of the bridge's consumer tags."""
Right = Literal["configure", "write", "read"]


@value(frozen=True, slots=True)
class BrokerEndpoint:
    """One address of the broker, without its password. `failure` is why it cannot be used; empty: usable."""

    address: str
    failure: str = ""
    product: str = ""
    version: str = ""
    cluster: str = ""
    vhost: str = "/"


@value(frozen=True, slots=True)
class Rights:
    """The permissions on names with the bridge's prefix; None: not tested. `said` is the broker's refusal."""

    configure: bool | None = None
    write: bool | None = None
    read: bool | None = None
    said: str = ""
    default_exchange: bool | None = None
    """Permission to publish through the default exchange, which reaches every queue by name."""


@value(frozen=True, slots=True)
class FoundSource:
    """A source's queue. `there` None: unknown (`said` has the reason); figures are set only if it exists.

    `kept`: declared with the same arguments as by its publishers; None: not visible. `readable`: may be consumed.
    `kind`: its type and arguments, as far as visible.
    """

    queue: str
    there: bool | None
    depth: int = 0
    consumers: int = 0
    kept: bool | None = None
    readable: bool | None = None
    said: str = ""
    kind: QueueKind = QueueKind()


@value(frozen=True, slots=True)
class FoundObject:
    """An exchange or queue of the bridge; `said` is the broker's error.

    `made` is how to declare it by hand, `use` the permission it needs while the bridge runs, `refused` the permissions
    that were tested and are missing.
    """

    kind: Kind
    name: str
    state: Literal["right", "missing", "other", "unknown"]
    depth: int = 0
    said: str = ""
    made: str = ""
    use: Right | None = None
    refused: tuple[Right, ...] = ()


@value(frozen=True, slots=True)
class FoundBroker:
    """The findings on the broker; only `endpoints` if no endpoint can be used."""

    endpoints: tuple[BrokerEndpoint, ...]
    rights: Rights = Rights()
    sources: tuple[FoundSource, ...] = ()
    objects: tuple[FoundObject, ...] = ()


@value(frozen=True, slots=True)
class FoundDatabase:
    """The findings on the history's database. `failure` is why it cannot be used, `hindrance` why it is not writable.

    `hooks` are the ids of hooks of the API. `revision` None: it has no tables yet. `misfit`: why its schema does not
    suit this version. `owner` None: no owner yet. `pooled`: a connection pooler is in front of the server. `free` and
    `size` are in bytes, None: not visible. `encrypted` False: the connection leaves this machine unencrypted.
    """

    place: str
    kind: Literal["sqlite", "postgresql"]
    head: str
    failure: str = ""
    hindrance: str = ""
    version: str = ""
    revision: str | None = None
    misfit: str = ""
    owner: Owner | None = None
    pooled: bool = False
    free: int | None = None
    size: int | None = None
    hooks: tuple[str, ...] = ()
    encrypted: bool = True


@value(frozen=True, slots=True)
class FoundBridge:
    """What answers at an address of the configuration: this bridge (`running`), or not (`failure`)."""

    address: str
    running: bool
    failure: str = ""
    admits: bool | None = None
    """Whether it accepts the configuration's token; None: not tested."""
    replicas: int = 0
    """The number of replicas, as it reports."""
    timeouts: Mapping[str, float] = field(default_factory=dict)
    """The timeout of an attempt in seconds, by hook id."""


@value(frozen=True, slots=True)
class FoundPolicy:
    """A policy of the virtual host; an operator policy is merged with the user policy."""

    name: str
    pattern: str
    apply_to: str
    priority: int
    definition: Mapping[str, Any]
    operator: bool = False


@value(frozen=True, slots=True)
class FoundQueue:
    """A source's queue: its type and arguments, and the connections of consumers that are not a bridge.

    `foreign` None: consumers are not visible.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    foreign: tuple[str, ...] | None = None


@value(frozen=True, slots=True)
class FoundPolicies:
    """The findings from the management API; `failure` is why there are none.

    `queues` are those of sources that exist, `granted` the permission patterns of the bridge's user in the virtual
    host; None: visible only to administrators.
    """

    policies: tuple[FoundPolicy, ...] = ()
    failure: str = ""
    queues: tuple[FoundQueue, ...] = ()
    granted: Mapping[Right, str] | None = None
