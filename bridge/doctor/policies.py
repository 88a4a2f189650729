"""The diagnosis of the broker's policies, which may make queues lose copies or events, and the defaults of its releases."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.core.base import value
from bridge.core.survey import FoundPolicies, FoundPolicy, FoundQueue, release_of
from bridge.doctor.findings import Diagnosis, Group
from bridge.settings.tree import Settings
from bridge.wire.effects import ASSUMED, Returns

# What each release of RabbitMQ grants by default; what a broker really grants is known from its answers.


_MIB = 1024**2


@value(frozen=True, slots=True)
class Release:
    """A release and those after it: `body`: bytes of the largest message (max_message_size), `retries`: quorum queues have
    a message TTL and dead-letter at least once, `maintained`: by its vendor, `delivery_limit`: that of quorum queues that set none.
    """

    since: tuple[int, int]
    body: int
    retries: bool = True
    maintained: bool = True
    delivery_limit: int | None = None


RELEASES = (
    Release((4, 0), 16 * _MIB, delivery_limit=ASSUMED),
    Release((3, 13), 128 * _MIB),
    Release((3, 10), 128 * _MIB, maintained=False),
    Release((0, 0), 128 * _MIB, retries=False, maintained=False),
)
"""The newest first."""


def granted(version: str) -> Release:
    """Returns what a broker of this version grants; an unknown version grants what the oldest does."""
    return next((each for each in RELEASES if release_of(version) >= each.since), RELEASES[-1])


POLICIES, TIMEOUTS = map(Group, ("policies", "timeouts"))

# Policies.


_FULL = "a full queue rejects publishes: a full lane keeps events in their sources and stalls retries"
_PUSHED_OUT = "the oldest messages are dropped: copies in lanes go to quarantine, those on the ladder come too early or are lost"
_LIMITS = {
    "max-length": _FULL,
    "max-length-bytes": _FULL,
    "message-ttl": "retries leave the ladder early and waiting copies are routed again; copies without a lane are lost",
    "expires": "the broker deletes it with its messages unless it has a consumer: retries, and deliveries of paused hooks",
}
_DELIVERY_LIMIT = 100_000
_RISKY = 3
"""Below this limit two consecutive crashes, each right after a message was delivered, may lose it."""
_TO_QUEUES = frozenset({"all", "queues", "quorum_queues", "classic_queues"})


def of_policies(
    found: FoundPolicies, ours: Sequence[str], settings: Settings, *, version: str, longest: float
) -> Iterator[Diagnosis]:
    """Yield findings on the policies that apply to `ours`, the names of the bridge's queues, and to sources.

    `version` is the broker's, `longest` the longest timeout of an attempt in seconds.
    """
    if found.failure:
        message = f"policies and delivery limits of sources are not visible: {found.failure}"
        advice = "set --management-url with a user that has the tag `policymaker` or `monitoring` to check policies"
        yield POLICIES.ok("management API", message, advice)
        return
    told = [finding for queue in sorted(set(ours)) for finding in of_ours(queue, found.policies)]
    for source in settings.sources:
        told += _source(source.queue, found.policies)
    for queue in found.queues:
        told += _returned(queue, in_force(queue.name, found.policies), version)
    sources = [source.queue for source in settings.sources]
    told += _patience([*ours, *sources], found.policies, settings.broker.consumer_timeout, longest)
    yield from told
    if not told:
        yield POLICIES.ok("queues", "no policy limits the queues of the bridge or of sources")


def of_ours(queue: str, policies: Sequence[FoundPolicy]) -> Iterator[Diagnosis]:
    """Yield findings on the effective policy of a queue of the bridge that endangers its messages."""
    definition = in_force(queue, policies)
    advice = "narrow the policy's pattern so that it excludes the bridge's queues"
    if told := _told(definition):
        harm = "; ".join(dict.fromkeys(said for name, said in _LIMITS.items() if name in definition))
        if definition.get("overflow") == "drop-head":
            harm = harm.replace(_FULL, _PUSHED_OUT)
        yield POLICIES.problem(f"queue {queue}", f"a policy limits it ({told}): {harm}", advice)
    limit = definition.get("delivery-limit")
    if isinstance(limit, int) and limit < _DELIVERY_LIMIT:
        message = (
            f"a policy lowers its delivery limit to {limit}: copies go to quarantine after that many returns"
        )
        yield POLICIES.warn(f"queue {queue}", message, advice)


def _source(queue: str, policies: Sequence[FoundPolicy]) -> Iterator[Diagnosis]:
    if told := _told(in_force(queue, policies)):
        message = f"a policy limits it ({told}): the broker drops or rejects messages beyond that"
        advice = "remove the policy, or alert on the depth of the queue"
        yield POLICIES.warn(f"queue {queue}", message, advice)


def _returned(queue: FoundQueue, definition: Mapping[str, Any], version: str) -> Iterator[Diagnosis]:
    """Yield findings on the delivery limit of a quorum queue; classic queues do not count."""
    if queue.type == "quorum" and (limit := limit_of(queue, definition, version)) is not None:
        kept = "x-dead-letter-exchange" in queue.arguments or "dead-letter-exchange" in definition
        yield of_limit(queue.name, limit, kept=kept)


def of_limit(queue: str, limit: int, *, kept: bool) -> Diagnosis:
    """Returns the finding for a source's delivery limit; `kept`: messages over it are dead-lettered."""
    returns = Returns(counted=True, limit=limit, known=True)
    message = (
        f"delivery limit {limit}: what came back more often the broker {'dead-letters' if kept else 'drops'}, and each "
        "death of a bridge or loss of its connection counts for all that it held; "
    )
    message += (
        f"what came back {returns.custody_from} times goes into its lanes before anything is attempted"
        if returns.custody_from
        else f"so everything goes through the lanes, and {returns.holdable(65_535)} messages are held at once"
    )
    subject = f"queue {queue}"
    if kept and limit >= ASSUMED:
        return POLICIES.ok(subject, message)
    policy = json.dumps({"delivery-limit": 100, "dead-letter-exchange": "...", "overflow": "reject-publish"})
    pattern = f"^{re.escape(queue)}$"
    advice = f"rabbitmqctl set_policy --apply-to queues NAME {shlex.quote(pattern)} {shlex.quote(policy)}"
    advice += "; a lower argument of the queue takes precedence"
    finding = POLICIES.problem if limit < _RISKY else POLICIES.warn
    return finding(subject, message, advice)


def limit_of(queue: FoundQueue, definition: Mapping[str, Any], version: str) -> int | None:
    """Returns the effective delivery limit, the lowest; some releases have a default."""
    said = (queue.arguments.get("x-delivery-limit"), definition.get("delivery-limit"))
    limits = [limit for limit in said if isinstance(limit, int) and limit >= 0]
    if not limits and said == (None, None):
        return granted(version).delivery_limit
    return min(limits, default=None)


def _patience(
    queues: Sequence[str], policies: Sequence[FoundPolicy], setting: float, longest: float
) -> Iterator[Diagnosis]:
    """Yield findings on the consumer timeout, if a policy sets it."""
    told = {queue: in_force(queue, policies).get("consumer-timeout") for queue in sorted(set(queues))}
    for queue, milliseconds in told.items():
        if not isinstance(milliseconds, int) or milliseconds / 1000 >= max(setting, 2 * longest):
            continue
        seconds = milliseconds / 1000
        message = f"by policy the broker waits {seconds:g} s for what is not settled there, broker.consumer_timeout says {setting:g} s"
        advice = f"set broker.consumer_timeout to {seconds:g}s, or raise consumer-timeout in the policy"
        if 2 * longest > seconds:
            message += f"; the longest attempt may take {longest:g} s"
            advice += ", and shorten the hook's timeout"
        yield TIMEOUTS.problem(f"queue {queue}", message, advice)


def _told(definition: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {definition[name]}" for name in _LIMITS if name in definition)


def in_force(queue: str, policies: Sequence[FoundPolicy]) -> dict[str, Any]:
    """Returns the user policy of the highest priority, merged with the operator policy: the lower number applies."""
    merged: dict[str, Any] = {}
    for operator in (False, True):
        fitting = [each for each in policies if each.operator == operator and _fits(queue, each)]
        if fitting:
            highest = max(fitting, key=lambda each: each.priority)
            merged = {
                **merged,
                **{name: _lower(merged.get(name), said) for name, said in highest.definition.items()},
            }
    return merged


def _fits(queue: str, policy: FoundPolicy) -> bool:
    if policy.apply_to not in _TO_QUEUES:
        return False
    try:
        return re.search(policy.pattern, queue) is not None
    except re.error:
        return False  # the broker's patterns are more powerful; such a pattern is rare


def _lower(one: Any, other: Any) -> Any:
    return min(one, other) if isinstance(one, int) and isinstance(other, int) else other
