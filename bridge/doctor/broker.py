"""The diagnosis of the broker: addresses, versions, permissions, objects, timeouts and sources."""

import re
from collections.abc import Iterator, Mapping, Sequence

from bridge.core.survey import (
    BrokerEndpoint,
    FoundBroker,
    FoundObject,
    FoundQueue,
    FoundSource,
    Right,
)
from bridge.doctor.findings import Diagnosis, Group
from bridge.doctor.policies import TIMEOUTS, granted, of_limit
from bridge.settings.tree import Settings
from bridge.wire.effects import effects_of, returns_of

# Permissions on the broker: each missing one, with the names that it is missing on.


BROKER, RIGHTS, OBJECTS, SOURCES = map(Group, ("broker", "rights", "objects", "sources"))
_EACH: tuple[Right, ...] = ("configure", "write", "read")
_NAMED = 100


def may_make(found: FoundBroker, settings: Settings) -> bool:
    """Returns whether the bridge declares missing objects at start; otherwise the operator must declare them."""
    return settings.broker.topology == "create" and found.rights.configure is not False


def of_rights(
    found: FoundBroker, granted: Mapping[Right, str] | None, settings: Settings
) -> Iterator[Diagnosis]:
    """Yields findings on permissions; `granted` are the user's patterns, if the management API shows them."""
    for right in _EACH:
        lacking = [each.name for each in found.objects if right in each.refused]
        if granted is not None:
            lacking += [name for name in _needed(right, found, settings) if not _fits(granted[right], name)]
        yield _right(right, sorted(set(lacking)), found, settings)
    yield from _default_exchange(found.rights.default_exchange, settings)


def _needed(right: Right, found: FoundBroker, settings: Settings) -> Iterator[str]:
    """Yields the names that need a permission: declaring and binding needs all, running only some."""
    for each in found.objects:
        if settings.broker.topology == "create" or each.use == right:
            yield each.name
    if right == "read":
        yield from (source.queue for source in settings.sources)


def _fits(expression: str, name: str) -> bool:
    try:
        return re.search(expression or "^$", name) is not None
    except re.error:
        return True  # the broker's patterns are more powerful; a refusal is found by the test anyway


def _right(right: Right, lacking: Sequence[str], found: FoundBroker, settings: Settings) -> Diagnosis:
    prefix = settings.broker.prefix
    subject = f"right to {right} {prefix}.*"
    tried = getattr(found.rights, right)
    if right == "configure" and settings.broker.topology == "verify" and (lacking or not tried):
        return RIGHTS.ok(subject, "not granted, and not needed with broker.topology: verify")
    if lacking or tried is False:
        advice = f"rabbitmqctl set_permissions: {right} {_expression(lacking, prefix)}"
        if right == "configure":
            advice += "; or create everything beforehand and set broker.topology: verify"
        told = f" on {_names(lacking)}" if lacking else f": {found.rights.said}"
        return RIGHTS.problem(subject, f"not granted{told}", advice)
    if tried is None and not any(each.use == right and each.state != "missing" for each in found.objects):
        message = "cannot be tested before the bridge's exchanges and queues exist"
        return RIGHTS.warn(subject, message, "run doctor again once they exist")
    return RIGHTS.ok(subject, "granted")


def _expression(lacking: Sequence[str], prefix: str) -> str:
    others = [f"|^{re.escape(name)}$" for name in lacking if not name.startswith(f"{prefix}.")]
    return rf"^{re.escape(prefix)}\." + "".join(others)


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _default_exchange(writable: bool | None, settings: Settings) -> Iterator[Diagnosis]:
    """Yields a finding if the default exchange, which queue targets and inlets use, cannot be published to."""
    if writable is not False:
        return
    by_name = [
        hook.id
        for hook in settings.hooks
        if getattr(hook.target, "queue", None) and not hook.target.broker  # type: ignore[union-attr]
    ]
    told = [f"inlet {inlet.name}" for inlet in settings.inlets] + [f"hook {hook}" for hook in by_name]
    message = "not granted: messages cannot be published to a queue by its name" + (
        f", which {_names(told)} need" if told else " (POST /events, requeuing from quarantine, meta events)"
    )
    advice = r"rabbitmqctl set_permissions: write ^amq\.default$; with it the bridge may write to every queue"
    finding = RIGHTS.problem if told else RIGHTS.warn
    yield finding("right to write amq.default", message, advice)


def of_objects(found: FoundBroker, settings: Settings) -> Iterator[Diagnosis]:
    """Yield findings on the bridge's exchanges and queues: correct, different, or missing and how to declare them."""
    if settings.broker.queue_type == "classic":
        message = "the bridge's queues are classic: no delivery limit, and dead-lettering without confirms may lose copies"
        yield OBJECTS.warn("broker.queue_type", message, "use quorum queues if the broker supports them")
    by_start = may_make(found, settings)
    for each in found.objects:
        yield from _object(each, settings, by_start=by_start)
    lanes = f"{settings.broker.prefix}.lane."
    shared = [each for each in found.objects if not each.name.startswith(lanes)]
    missing = sum(each.state == "missing" for each in shared)
    subject = f"{settings.broker.prefix}.*"
    if missing and by_start:
        message = f"{missing} of {len(shared)} exchanges and queues do not exist yet: they are declared at the start"
        yield OBJECTS.ok(subject, message)
    right = sum(each.state == "right" for each in found.objects)
    if right:
        yield OBJECTS.ok(subject, f"{right} exchanges and queues are declared correctly")


def _object(found: FoundObject, settings: Settings, *, by_start: bool) -> Iterator[Diagnosis]:
    subject = f"{found.kind} {found.name}"
    match found.state:
        case "other":
            advice = (
                f"delete it once it is empty, or set another broker.prefix; it has to be {found.made}"
                + ("; it is declared again at the start" if by_start else "")
            )
            yield OBJECTS.problem(subject, f"its declaration differs from the bridge's: {found.said}", advice)
        case "missing" if not by_start:
            why = (
                "broker.topology is verify"
                if settings.broker.topology == "verify"
                else "it may not be declared"
            )
            yield OBJECTS.problem(subject, f"missing; {why}", f"declare it: {found.made}")
        case "unknown" if "home node" in found.said or "inaccessible" in found.said:
            message = f"it is not available: {found.said}"
            yield OBJECTS.problem(subject, message, "start the broker's other nodes")
        case "unknown" if settings.broker.topology == "create":
            yield OBJECTS.warn(subject, f"its arguments are not visible: {found.said}")
    if found.depth and found.kind == "queue" and found.name.endswith((".dead", ".orphans")):
        message = f"{found.depth} messages of unknown hooks, or over the delivery limit"
        advice = "a running bridge consumes them; the rest belongs to hooks that do not exist any more"
        yield OBJECTS.warn(subject, message, advice)


_USUAL_TIMEOUT = 1800.0


def of_broker(
    found: FoundBroker, granted: Mapping[Right, str] | None, settings: Settings
) -> Iterator[Diagnosis]:
    """Yield findings on addresses, versions, permissions and the bridge's objects; `granted` as in of_rights."""
    alive = [endpoint for endpoint in found.endpoints if not endpoint.failure]
    for endpoint in found.endpoints:
        yield from _endpoint(endpoint, settings, others=bool(alive))
    if not alive:
        return
    yield from of_rights(found, granted, settings)
    yield from of_objects(found, settings)


def _endpoint(endpoint: BrokerEndpoint, settings: Settings, *, others: bool) -> Iterator[Diagnosis]:
    if endpoint.failure:
        finding = BROKER.warn if others else BROKER.problem
        message = "it is not usable" + (", other addresses are" if others else "")
        yield finding(endpoint.address, f"{message}: {endpoint.failure}", "correct broker.url")
        return
    told = f"reachable: {endpoint.product} {endpoint.version} ({endpoint.cluster})"
    yield BROKER.ok(endpoint.address, told)
    yield _version(endpoint, settings)


def _version(endpoint: BrokerEndpoint, settings: Settings) -> Diagnosis:
    subject = f"version {endpoint.version}"
    if endpoint.product != "RabbitMQ":
        message = f"{endpoint.product or 'the broker'} is not RabbitMQ: delivery limits and dead-lettering were tested only there"
        return BROKER.warn(subject, message, "test a retry and a broker restart first")
    release = granted(endpoint.version)
    quorum = settings.broker.queue_type == "quorum"
    if not release.retries and quorum:
        message = (
            "its quorum queues have no message TTL and no at-least-once dead-lettering: retries do not work"
        )
        return BROKER.problem(subject, message, "upgrade to 3.13 or 4.x, or set broker.queue_type: classic")
    if not release.retries:
        message = "it is older than the versions that the bridge is tested with"
        return BROKER.warn(subject, message, "upgrade to 3.13, then 4.x")
    if not release.maintained:
        return BROKER.warn(subject, "it works, but is no longer maintained", "upgrade to 3.13, then 4.x")
    if settings.limits.body > release.body:
        message = (
            f"bodies are limited to {release.body // 1024**2} MiB unless max_message_size in rabbitmq.conf is higher: a larger one "
            "cannot wait in a lane, and fails with the reason"
        )
        return BROKER.ok(subject, message)
    return BROKER.ok(subject, "known to work")


def of_timeouts(settings: Settings, others: Mapping[str, float]) -> Iterator[Diagnosis]:
    """Yield findings on the longest attempt against the broker's consumer timeout.

    `others` are the timeouts of hooks that a running bridge has in addition to those of the file.
    """
    timeout = settings.broker.consumer_timeout
    hook, longest = longest_attempt(settings, others)
    named = f" (hook {hook})" if hook else ""
    message = f"the longest attempt{named} may take {longest:g} s, the broker waits {timeout:g} s (broker.consumer_timeout; the broker does not report its own)"
    if longest > timeout / 2:
        advice = "raise consumer_timeout in rabbitmq.conf and broker.consumer_timeout, or shorten the hook's timeout"
        yield TIMEOUTS.problem("broker.consumer_timeout", message, advice)
    elif timeout > _USUAL_TIMEOUT:
        advice = f"rabbitmq.conf needs consumer_timeout = {timeout * 1000:.0f}; its default is 30 minutes"
        yield TIMEOUTS.warn("broker.consumer_timeout", message, advice)
    else:
        yield TIMEOUTS.ok("broker.consumer_timeout", message)


def longest_attempt(settings: Settings, others: Mapping[str, float]) -> tuple[str, float]:
    """Returns the hook with the longest timeout of an attempt, in seconds."""
    timeouts = {**others, **{hook.id: hook.target.timeout for hook in settings.hooks}}
    return max(timeouts.items(), key=lambda each: each[1], default=("", 0.0))


# Sources: whether their queues exist, as their publishers declare them, and without other consumers.


_ARGUMENT = re.compile(r"inequivalent arg '([^']+)'")
_TYPE = "x-queue-type"


def of_sources(
    found: FoundBroker, queues: Sequence[FoundQueue], settings: Settings, bridges: int | None
) -> Iterator[Diagnosis]:
    """Yield findings on each source's queue; `queues` are those that the management API shows.

    `bridges` is the number of consuming replicas, None: unknown.
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
    if found.readable is False:
        advice = f"rabbitmqctl set_permissions: read ^{re.escape(found.queue)}$"
        return SOURCES.problem(subject, "no permission to read it", advice)
    if not found.there:
        return _absent(found, subject, settings, by_start=by_start)
    if found.kind.is_stream:
        return SOURCES.ok(subject, "it exists")
    if found.kept is False:
        return _drifted(found, subject)
    if found.kept is None:
        message = f"it exists, {found.depth} messages; whether publishers declare it the same way is not visible: {found.said}"
        return SOURCES.ok(subject, message)
    return SOURCES.ok(subject, f"it exists as publishers declare it, {found.depth} messages")


def _kind(found: FoundSource, told: FoundQueue | None, subject: str) -> Iterator[Diagnosis]:
    """Yields the effects of the queue's configuration; if the management API shows it, policies report its limit."""
    for effect in effects_of(found.kind):
        yield Diagnosis(effect.weight, "sources", subject, effect.what, effect.advice)
    if told is None and found.kind.type == "quorum":
        returns = returns_of(found.kind)
        if returns.known:
            yield of_limit(found.queue, returns.limit, kept="x-dead-letter-exchange" in found.kind.arguments)
        else:
            message = (
                f"the delivery limit of this quorum queue is not visible without the management API: {returns.limit} is "
                f"assumed, so messages that came back {returns.custody_from} times are parked before any attempt"
            )
            yield SOURCES.ok(subject, message)


def _absent(found: FoundSource, subject: str, settings: Settings, *, by_start: bool) -> Diagnosis:
    if found.there is None:
        return SOURCES.problem(subject, f"it is not accessible: {found.said}", "check the broker")
    if not by_start:
        why = (
            "broker.topology is verify" if settings.broker.topology == "verify" else "it may not be declared"
        )
        message = f"the queue does not exist, and {why}"
        return SOURCES.problem(subject, message, "create it: durable, no arguments")
    message = "the queue does not exist yet: it is declared at the start, durable and without arguments"
    return SOURCES.warn(subject, message, "check its name (sources[].queue)")


def _drifted(found: FoundSource, subject: str) -> Diagnosis:
    """Returns the finding for a queue with other arguments than publishers declare: durable, and no others."""
    named = _ARGUMENT.search(found.said)
    argument = named[1] if named else "something"
    effect = f"publishers that declare it without arguments get error 406, the bridge consumes it anyway: {found.said}"
    if argument == _TYPE and "received none" not in found.said:
        message = f"the virtual host's default queue type is not the type of this queue: {effect}"
        advice = (
            "set the virtual host's default queue type back to that of the queue, or empty the queue, delete it and "
            "let publishers declare it again"
        )
    else:
        message = f"it differs in {argument} from what publishers declare: {effect}"
        advice = (
            "publishers of these systems declare durable=true, no arguments; empty it, delete it and let them make it "
            "anew, unless yours declares it so"
        )
    return SOURCES.warn(subject, message, advice)


def _consumers(found: FoundSource, queue: FoundQueue | None, subject: str, bridges: int | None) -> Diagnosis:
    advice = "stop the other consumer, or give it a queue of its own (a queue target)"
    if queue is not None and queue.foreign:
        message = f"{len(queue.foreign)} consumers are not bridges, and hooks do not get the messages that they consume: {', '.join(queue.foreign[:5])}"
        return SOURCES.warn(subject, message, advice)
    foreign = found.consumers - (bridges or 0)
    if foreign <= 0 or (queue is not None and queue.foreign is not None):
        return SOURCES.ok(subject, f"{found.consumers} consumers, all of them bridges")
    if bridges is None:
        message = f"{found.consumers} consumers, and no bridge answers here that could be one of them: what others take, no hook gets"
        return SOURCES.warn(subject, message, advice)
    if found.kind.type == "quorum":
        message = f"{found.consumers} consumers: a bridge may have several, and only the management API tells whose they are"
        return SOURCES.ok(subject, message)
    message = f"{foreign} of {found.consumers} consumers are no bridges of ours: what they take, no hook gets"
    return SOURCES.warn(subject, message, advice)
