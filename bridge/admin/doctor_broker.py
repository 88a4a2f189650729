"""What `doctor` makes of the broker."""

import re
from collections.abc import Iterator, Sequence

from bridge.admin.doctor import Diagnosis, Level
from bridge.ports.survey import Endpoint, FoundBroker, FoundObject, FoundSource, Rights
from bridge.settings.tree import Settings

_RABBITMQ_4_BODY = 16 * 1024**2
_USUAL_TIMEOUT = 1800.0


def of_broker(found: FoundBroker, settings: Settings) -> Iterator[Diagnosis]:
    """Addresses, versions, rights and our own objects."""
    alive = [endpoint for endpoint in found.endpoints if not endpoint.failure]
    for endpoint in found.endpoints:
        yield from _endpoint(endpoint, settings, others=bool(alive))
    if not alive:
        return
    yield from _rights(found.rights, settings)
    yield from _objects(found.objects, settings)


def _endpoint(endpoint: Endpoint, settings: Settings, *, others: bool) -> Iterator[Diagnosis]:
    if endpoint.failure:
        level: Level = "warning" if others else "problem"
        message = "it cannot be used" + (", others can" if others else "")
        yield Diagnosis(
            level, "broker", endpoint.address, f"{message}: {endpoint.failure}", "correct broker.url"
        )
        return
    told = f"reachable: {endpoint.product} {endpoint.version} ({endpoint.cluster})"
    yield Diagnosis("ok", "broker", endpoint.address, told)
    yield _version(endpoint, settings)


def _version(endpoint: Endpoint, settings: Settings) -> Diagnosis:
    subject = f"version {endpoint.version}"
    if endpoint.product != "RabbitMQ":
        message = f"{endpoint.product or 'the broker'} is not RabbitMQ: delivery limit and dead-lettering were tried there only"
        return Diagnosis(
            "warning", "broker", subject, message, "try a retry and a restart before you rely on it"
        )
    release = tuple(int(part) for part in re.findall(r"\d+", endpoint.version)[:2])
    quorum = settings.broker.queue_type == "quorum"
    if release < (3, 10) and quorum:
        message = (
            "quorum queues there have no message TTL and no at-least-once dead-lettering: retries do not work"
        )
        return Diagnosis(
            "problem", "broker", subject, message, "upgrade to 3.13 or 4.x, or set broker.queue_type: classic"
        )
    if release < (3, 13):
        message = "it works, and is old: its makers mend it no more"
        return Diagnosis("warning", "broker", subject, message, "upgrade to 3.13, then 4.x")
    if release >= (4, 0) and settings.limits.body > _RABBITMQ_4_BODY:
        message = "it takes bodies up to 16 MiB unless max_message_size says more; larger ones cannot be published again"
        return Diagnosis("ok", "broker", subject, message)
    return Diagnosis("ok", "broker", subject, "known to work")


def _rights(rights: Rights, settings: Settings) -> Iterator[Diagnosis]:
    prefix = settings.broker.prefix
    names = rf"^{re.escape(prefix)}\."
    needs_configure = settings.broker.topology == "create"
    for right in ("configure", "write", "read"):
        granted: bool | None = getattr(rights, right)
        subject = f"right to {right} {prefix}.*"
        if granted:
            yield Diagnosis("ok", "rights", subject, "granted")
        elif granted is None:
            message = "not to be tried before our exchanges and queues exist"
            yield Diagnosis("warning", "rights", subject, message, "look again once they do")
        elif right == "configure" and not needs_configure:
            yield Diagnosis(
                "ok", "rights", subject, "not granted, and not needed with broker.topology: verify"
            )
        else:
            advice = f"rabbitmqctl set_permissions: {right} {names}"
            if right == "configure":
                advice += "; or create everything beforehand and set broker.topology: verify"
            yield Diagnosis("problem", "rights", subject, f"not granted: {rights.said}", advice)


def _objects(objects: Sequence[FoundObject], settings: Settings) -> Iterator[Diagnosis]:
    if settings.broker.queue_type == "classic":
        message = "our queues are classic ones: no delivery limit, and dead-lettering without confirms may lose copies"
        yield Diagnosis(
            "warning", "objects", "broker.queue_type", message, "use quorum queues where there are any"
        )
    for found in objects:
        yield from _object(found, settings)
    missing = [found for found in objects if found.state == "missing"]
    if missing and settings.broker.topology == "create":
        message = (
            f"{len(missing)} of {len(objects)} exchanges and queues are not there yet: the start makes them"
        )
        yield Diagnosis("ok", "objects", f"{settings.broker.prefix}.*", message)
    right = sum(found.state == "right" for found in objects)
    if right:
        yield Diagnosis(
            "ok",
            "objects",
            f"{settings.broker.prefix}.*",
            f"{right} exchanges and queues are as they should be",
        )


def _object(found: FoundObject, settings: Settings) -> Iterator[Diagnosis]:
    subject = f"{found.kind} {found.name}"
    match found.state:
        case "other":
            advice = "delete it once it is empty, or set another broker.prefix; the start makes it anew"
            yield Diagnosis(
                "problem", "objects", subject, f"it is not as the bridge declares it: {found.said}", advice
            )
        case "missing" if settings.broker.topology == "verify":
            message = "it is missing, and broker.topology is verify"
            yield Diagnosis(
                "problem", "objects", subject, message, "create it: docs/architecture.md has all of them"
            )
        case "unknown" if "home node" in found.said or "inaccessible" in found.said:
            yield Diagnosis(
                "problem",
                "objects",
                subject,
                f"it is not available: {found.said}",
                "start the broker's other nodes",
            )
        case "unknown" if settings.broker.topology == "create":
            yield Diagnosis("warning", "objects", subject, f"its arguments are not to be seen: {found.said}")
    if found.depth and found.kind == "queue" and found.name.endswith((".dead", ".orphans")):
        message = f"{found.depth} messages that no hook knows, or that came back too often, lie there"
        advice = "a running bridge takes them: what stays belongs to hooks that nobody knows any more"
        yield Diagnosis("warning", "objects", subject, message, advice)


def of_sources(found: Sequence[FoundSource], settings: Settings, bridges: int | None) -> Iterator[Diagnosis]:
    """Each source's queue; `bridges` is how many of ours consume, None: nobody answers who could tell."""
    names = {source.queue: source.name for source in settings.sources}
    for each in found:
        subject = f"{names.get(each.queue, '')} (queue {each.queue!r})"
        yield from _source(each, subject, settings)
        if each.there and each.consumers:
            yield _consumers(each, subject, bridges)


def _source(found: FoundSource, subject: str, settings: Settings) -> Iterator[Diagnosis]:
    if found.there is None:
        yield Diagnosis(
            "problem", "sources", subject, f"it is not to be had: {found.said}", "see to the broker"
        )
    elif not found.there and settings.broker.topology == "verify":
        message = "there is no such queue, and broker.topology is verify"
        yield Diagnosis("problem", "sources", subject, message, "create it: durable, no arguments")
    elif not found.there:
        message = "there is no such queue yet: the start makes it, durable and without arguments"
        yield Diagnosis("warning", "sources", subject, message, "is its name right (sources[].queue)?")
    elif found.readable is False:
        advice = "rabbitmqctl set_permissions: read on it"
        yield Diagnosis("problem", "sources", subject, "it may not be consumed: no right to read", advice)
    elif found.kept is False:
        message = f"it is not declared as publishers declare it, who are refused (406) for it: {found.said}"
        advice = "publishers of these systems declare durable=true, no arguments; delete it and let them make it anew, unless yours declares it so"
        yield Diagnosis("warning", "sources", subject, message, advice)
    elif found.kept is None:
        message = f"there, {found.depth} messages; whether it is as publishers declare it is not to be seen: {found.said}"
        yield Diagnosis("ok", "sources", subject, message)
    else:
        yield Diagnosis("ok", "sources", subject, f"there, as publishers declare it, {found.depth} messages")


def _consumers(found: FoundSource, subject: str, bridges: int | None) -> Diagnosis:
    ours = bridges or 0
    foreign = found.consumers - ours
    if foreign <= 0:
        return Diagnosis("ok", "sources", subject, f"{found.consumers} consumers, all of them bridges")
    advice = "stop the other consumer, or give it a queue of its own (a queue target)"
    if bridges is None:
        message = f"{found.consumers} consumers, and no bridge answers here that could be one of them: what others take, no hook gets"
        return Diagnosis("warning", "sources", subject, message, advice)
    message = f"{foreign} of {found.consumers} consumers are no bridges of ours: what they take, no hook gets"
    return Diagnosis("warning", "sources", subject, message, advice)


def of_timeouts(settings: Settings) -> Iterator[Diagnosis]:
    """The longest attempt against the broker's patience with what is not settled."""
    timeout = settings.broker.consumer_timeout
    longest = max((hook.target.timeout for hook in settings.hooks), default=0.0)
    message = f"the longest attempt may take {longest:g} s, the broker waits {timeout:g} s (it does not tell: this is the setting)"
    if longest > timeout / 2:
        advice = "raise consumer_timeout in rabbitmq.conf and broker.consumer_timeout, or shorten the hook's timeout"
        yield Diagnosis("problem", "timeouts", "broker.consumer_timeout", message, advice)
    elif timeout > _USUAL_TIMEOUT:
        advice = f"see that rabbitmq.conf has consumer_timeout = {timeout * 1000:.0f}; RabbitMQ's own is 30 minutes"
        yield Diagnosis("warning", "timeouts", "broker.consumer_timeout", message, advice)
    else:
        yield Diagnosis("ok", "timeouts", "broker.consumer_timeout", message)
