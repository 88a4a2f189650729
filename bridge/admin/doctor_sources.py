"""What `doctor` makes of sources: are they there, as their publishers declare them, and is nobody else at them."""

import re
from collections.abc import Iterator, Sequence

from bridge.admin.doctor import Diagnosis
from bridge.admin.doctor_policies import of_limit
from bridge.admin.doctor_rights import may_make
from bridge.ports.survey import FoundBroker, FoundQueue, FoundSource
from bridge.rules.wire.effects import effects_of
from bridge.rules.wire.returns import returns_of
from bridge.settings.tree import Settings

_ARGUMENT = re.compile(r"inequivalent arg '([^']+)'")
_TYPE = "x-queue-type"


def of_sources(
    found: FoundBroker, queues: Sequence[FoundQueue], settings: Settings, bridges: int | None
) -> Iterator[Diagnosis]:
    """Each source's queue; `queues` as far as the management API tells of them.

    `bridges` is how many of ours consume, None: nobody answers who could tell.
    """
    names = {source.queue: source.name for source in settings.sources}
    told = {queue.name: queue for queue in queues}
    by_start = may_make(found, settings)
    for each in found.sources:
        subject = f"{names.get(each.queue, '')} (queue {each.queue!r})"
        yield _source(each, subject, settings, by_start=by_start)
        yield from _kind(each, told.get(each.queue), subject)
        if each.there and each.consumers and not each.kind.taken:
            yield _consumers(each, told.get(each.queue), subject, bridges)


def _source(found: FoundSource, subject: str, settings: Settings, *, by_start: bool) -> Diagnosis:
    if not found.there:
        return _absent(found, subject, settings, by_start=by_start)
    if found.readable is False:
        advice = f"rabbitmqctl set_permissions: read ^{re.escape(found.queue)}$"
        return Diagnosis("problem", "sources", subject, "it may not be consumed: no right to read", advice)
    if found.kind.is_stream:
        return Diagnosis("ok", "sources", subject, "there")
    if found.kept is False:
        return _drifted(found, subject)
    if found.kept is None:
        message = f"there, {found.depth} messages; whether it is as publishers declare it is not to be seen: {found.said}"
        return Diagnosis("ok", "sources", subject, message)
    message = f"there, as publishers declare it, {found.depth} messages"
    return Diagnosis("ok", "sources", subject, message)


def _kind(found: FoundSource, told: FoundQueue | None, subject: str) -> Iterator[Diagnosis]:
    """What the queue does to its messages; where the management API tells of it, its limit is told with policies."""
    for effect in effects_of(found.kind):
        yield Diagnosis(effect.weight, "sources", subject, effect.what, effect.advice)
    if told is None and found.kind.type == "quorum":
        returns = returns_of(found.kind)
        if returns.known:
            yield of_limit(found.queue, returns.limit, kept="x-dead-letter-exchange" in found.kind.arguments)
        else:
            message = (
                f"a quorum queue whose delivery limit is not to be seen without the management API: {returns.limit} is "
                f"assumed, so what came back {returns.custody_from} times goes into its lanes before anything is attempted"
            )
            yield Diagnosis("ok", "sources", subject, message)


def _absent(found: FoundSource, subject: str, settings: Settings, *, by_start: bool) -> Diagnosis:
    if found.there is None:
        return Diagnosis(
            "problem", "sources", subject, f"it is not to be had: {found.said}", "see to the broker"
        )
    if not by_start:
        why = "broker.topology is verify" if settings.broker.topology == "verify" else "it may not be made"
        message = f"there is no such queue, and {why}"
        return Diagnosis("problem", "sources", subject, message, "create it: durable, no arguments")
    message = "there is no such queue yet: the start makes it, durable and without arguments"
    return Diagnosis("warning", "sources", subject, message, "is its name right (sources[].queue)?")


def _drifted(found: FoundSource, subject: str) -> Diagnosis:
    """Publishers declare durable=true without arguments; then the broker takes the virtual host's default type."""
    named = _ARGUMENT.search(found.said)
    argument = named[1] if named else "something"
    effect = f"publishers who declare it without arguments are refused (406), the bridge consumes it all the same: {found.said}"
    if argument == _TYPE and "received none" not in found.said:
        message = f"the virtual host makes another type of queue by default than this one is of: {effect}"
        advice = (
            "set the virtual host's default queue type back to that of the queue, or empty the queue, delete it and "
            "let publishers make it anew"
        )
    else:
        message = f"it differs in {argument} from what publishers declare: {effect}"
        advice = (
            "publishers of these systems declare durable=true, no arguments; empty it, delete it and let them make it "
            "anew, unless yours declares it so"
        )
    return Diagnosis("warning", "sources", subject, message, advice)


def _consumers(found: FoundSource, queue: FoundQueue | None, subject: str, bridges: int | None) -> Diagnosis:
    advice = "stop the other consumer, or give it a queue of its own (a queue target)"
    if queue is not None and queue.foreign:
        message = f"{len(queue.foreign)} consumers are no bridges, and what they take, no hook gets: {', '.join(queue.foreign[:5])}"
        return Diagnosis("warning", "sources", subject, message, advice)
    foreign = found.consumers - (bridges or 0)
    if foreign <= 0 or (queue is not None and queue.foreign is not None):
        return Diagnosis("ok", "sources", subject, f"{found.consumers} consumers, all of them bridges")
    if bridges is None:
        message = f"{found.consumers} consumers, and no bridge answers here that could be one of them: what others take, no hook gets"
        return Diagnosis("warning", "sources", subject, message, advice)
    if found.kind.type == "quorum":
        message = f"{found.consumers} consumers: a bridge may have several, and only the management API tells whose they are"
        return Diagnosis("ok", "sources", subject, message)
    message = f"{foreign} of {found.consumers} consumers are no bridges of ours: what they take, no hook gets"
    return Diagnosis("warning", "sources", subject, message, advice)
