"""What `doctor` makes of the broker's policies: those that would have our queues lose copies, and sources events."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.admin.doctor import Diagnosis
from bridge.ports.survey import FoundPolicies, FoundPolicy
from bridge.settings.tree import Settings

_LIMITS = ("max-length", "max-length-bytes", "message-ttl", "expires")
_DELIVERY_LIMIT = 100_000
_TO_QUEUES = frozenset({"all", "queues", "quorum_queues", "classic_queues"})


def of_policies(found: FoundPolicies, ours: Sequence[str], settings: Settings) -> Iterator[Diagnosis]:
    """What is in force on `ours`, the names of our queues, and on sources."""
    if found.failure:
        message = f"policies are not to be seen: {found.failure}"
        advice = "give --management-url, and a user with the tag `policymaker` or `monitoring`, to look at limits by policy"
        yield Diagnosis("ok", "policies", "management API", message, advice)
        return
    told = [finding for queue in sorted(set(ours)) for finding in _ours(queue, found.policies)]
    for source in settings.sources:
        told += _source(source.queue, found.policies)
    yield from told
    if not told:
        yield Diagnosis("ok", "policies", "queues", "no policy limits our queues or sources")


def _ours(queue: str, policies: Sequence[FoundPolicy]) -> Iterator[Diagnosis]:
    definition = in_force(queue, policies)
    advice = "narrow the policy's pattern so that it leaves our queues out"
    if told := _told(definition):
        message = f"a policy limits it ({told}): a full lane stalls the retries of other hooks, an expired copy is lost"
        yield Diagnosis("problem", "policies", f"queue {queue}", message, advice)
    limit = definition.get("delivery-limit")
    if isinstance(limit, int) and limit < _DELIVERY_LIMIT:
        message = (
            f"a policy lowers its delivery limit to {limit}: copies go to quarantine after so many returns"
        )
        yield Diagnosis("warning", "policies", f"queue {queue}", message, advice)


def _source(queue: str, policies: Sequence[FoundPolicy]) -> Iterator[Diagnosis]:
    if told := _told(in_force(queue, policies)):
        message = f"a policy limits it ({told}): what is beyond that the broker drops or refuses"
        advice = "take the policy away, or alert on the depth of the queue"
        yield Diagnosis("warning", "policies", f"queue {queue}", message, advice)


def _told(definition: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {definition[name]}" for name in _LIMITS if name in definition)


def in_force(queue: str, policies: Sequence[FoundPolicy]) -> dict[str, Any]:
    """What the user's policy with the highest priority and the operator's say together; the lower number counts."""
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
        return False  # the broker's expressions know more; such a one is rare


def _lower(one: Any, other: Any) -> Any:
    return min(one, other) if isinstance(one, int) and isinstance(other, int) else other
