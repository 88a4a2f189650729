"""What `doctor` finds on the broker, in the database and at the bridge's own address, as values."""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from bridge.core.base import value
from bridge.core.owner import Owner

# What a queue is that messages come from: its type and the arguments that change what it does with them.


QueueType = Literal["classic", "quorum", "stream", "unknown"]


@value(frozen=True, slots=True)
class QueueKind:
    """A queue's type and arguments; `whole`: these are all of them, as it was declared (policies are not to be seen).

    `taken`: another consumer has it for itself, in the broker's words.
    """

    type: QueueType = "unknown"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    taken: str = ""

    @property
    def is_stream(self) -> bool:
        """Nothing is taken out of it: whoever reads it remembers how far."""
        return self.type == "stream"

    @property
    def has_standbys(self) -> bool:
        """Of its consumers one gets messages, the others wait until that one is gone."""
        return self.arguments.get("x-single-active-consumer") is True

    def number(self, argument: str) -> int | None:
        """The argument where it is a number."""
        found = self.arguments.get(argument)
        return found if isinstance(found, int) and not isinstance(found, bool) else None


def release_of(version: str) -> tuple[int, ...]:
    """Major and minor number of a broker's version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


Kind = Literal["queue", "exchange"]
OUR_CONSUMERS = "bridge."
"""How the tags of a bridge's consumers begin."""
Right = Literal["configure", "write", "read"]


@value(frozen=True, slots=True)
class Endpoint:
    """One address of the broker, without its password. `failure` says why it cannot be used; empty: it can."""

    address: str
    failure: str = ""
    product: str = ""
    version: str = ""
    cluster: str = ""
    vhost: str = "/"


@value(frozen=True, slots=True)
class Rights:
    """What the broker grants on names with our prefix; None: it could not be tried. `said` is what it refused with."""

    configure: bool | None = None
    write: bool | None = None
    read: bool | None = None
    said: str = ""
    default_exchange: bool | None = None
    """Whether one may publish through the exchange without a name, which reaches every queue by its name."""


@value(frozen=True, slots=True)
class FoundSource:
    """A source's queue. `there` None: the broker does not say (`said` does why); figures only where it is there.

    `kept`: declared as its publishers declare it; None: not to be seen. `readable`: may be consumed. `kind`: its type and
    arguments, as far as they are to be seen.
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
    """An exchange or queue of ours; `said` is what the broker has against it.

    `made` says how whoever makes it by hand has to make it, `use` which right it takes while the bridge runs, `refused`
    which were tried and are not granted.
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
    """What there is on the broker; only `endpoints` where none of them can be used."""

    endpoints: tuple[Endpoint, ...]
    rights: Rights = Rights()
    sources: tuple[FoundSource, ...] = ()
    objects: tuple[FoundObject, ...] = ()


@value(frozen=True, slots=True)
class FoundDatabase:
    """The history's database. `failure` says why it cannot be used, `hindrance` why it cannot be written to.

    `hooks` are the ids of hooks made through the API.
    `revision` None: it has no tables yet. `misfit`: why it is none for this version. `owner` None: it has none yet.
    `pooled`: a pooler stands before the server. `free` and `size` in bytes, None: not to be seen.
    `encrypted` False: what goes there leaves this machine in the open.
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
    """Who answers at an address of the configuration. `failure`: not this bridge; `running`: one of ours does."""

    address: str
    running: bool
    failure: str = ""
    admits: bool | None = None
    """Whether it takes the configuration's token; None: not asked."""
    replicas: int = 0
    """How many bridges share the work, as it says itself."""
    timeouts: Mapping[str, float] = field(default_factory=dict)
    """Seconds that an attempt may take, by id of each hook that it has."""


@value(frozen=True, slots=True)
class FoundPolicy:
    """A policy of the virtual host; an operator's goes together with the user's own one."""

    name: str
    pattern: str
    apply_to: str
    priority: int
    definition: Mapping[str, Any]
    operator: bool = False


@value(frozen=True, slots=True)
class FoundQueue:
    """A source's queue: its type and arguments, and who consumes it that is no bridge, by their connections.

    `foreign` None: it is not told who consumes it.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    foreign: tuple[str, ...] | None = None


@value(frozen=True, slots=True)
class FoundPolicies:
    """What the management API tells; `failure` says why it tells nothing.

    `queues` are those of sources that are there, `granted` the expressions of the bridge's user in the virtual host; None:
    only to be seen by an administrator.
    """

    policies: tuple[FoundPolicy, ...] = ()
    failure: str = ""
    queues: tuple[FoundQueue, ...] = ()
    granted: Mapping[Right, str] | None = None
