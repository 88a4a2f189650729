"""What `doctor` makes of the broker: its addresses and versions, and its patience."""

from collections.abc import Iterator, Mapping

from bridge.admin.doctor import Diagnosis, Level
from bridge.admin.doctor_rights import of_objects, of_rights
from bridge.model.queue import release_of
from bridge.ports.survey import Endpoint, FoundBroker, Right
from bridge.settings.tree import Settings

_RABBITMQ_4_BODY = 16 * 1024**2
_USUAL_TIMEOUT = 1800.0


def of_broker(
    found: FoundBroker, granted: Mapping[Right, str] | None, settings: Settings
) -> Iterator[Diagnosis]:
    """Addresses, versions, rights and our own objects; `granted` as in of_rights."""
    alive = [endpoint for endpoint in found.endpoints if not endpoint.failure]
    for endpoint in found.endpoints:
        yield from _endpoint(endpoint, settings, others=bool(alive))
    if not alive:
        return
    yield from of_rights(found, granted, settings)
    yield from of_objects(found, settings)


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
    release = release_of(endpoint.version)
    quorum = settings.broker.queue_type == "quorum"
    if release < (3, 10) and quorum:
        message = (
            "quorum queues there have no message TTL and no at-least-once dead-lettering: retries do not work"
        )
        return Diagnosis(
            "problem", "broker", subject, message, "upgrade to 3.13 or 4.x, or set broker.queue_type: classic"
        )
    if release < (3, 10):
        message = "it is older than anything the bridge was tried with"
        return Diagnosis("warning", "broker", subject, message, "upgrade to 3.13, then 4.x")
    if release < (3, 13):
        message = "it works, and is old: its makers mend it no more"
        return Diagnosis("warning", "broker", subject, message, "upgrade to 3.13, then 4.x")
    if release >= (4, 0) and settings.limits.body > _RABBITMQ_4_BODY:
        message = "it takes bodies up to 16 MiB unless max_message_size says more; larger ones cannot be published again"
        return Diagnosis("ok", "broker", subject, message)
    return Diagnosis("ok", "broker", subject, "known to work")


def of_timeouts(settings: Settings, others: Mapping[str, float]) -> Iterator[Diagnosis]:
    """The longest attempt against the broker's patience with what is not settled.

    `others` are the timeouts of hooks that a running bridge has beside those of the file.
    """
    timeout = settings.broker.consumer_timeout
    hook, longest = longest_attempt(settings, others)
    named = f" (hook {hook})" if hook else ""
    message = f"the longest attempt{named} may take {longest:g} s, the broker waits {timeout:g} s (it does not tell: this is the setting)"
    if longest > timeout / 2:
        advice = "raise consumer_timeout in rabbitmq.conf and broker.consumer_timeout, or shorten the hook's timeout"
        yield Diagnosis("problem", "timeouts", "broker.consumer_timeout", message, advice)
    elif timeout > _USUAL_TIMEOUT:
        advice = f"see that rabbitmq.conf has consumer_timeout = {timeout * 1000:.0f}; RabbitMQ's own is 30 minutes"
        yield Diagnosis("warning", "timeouts", "broker.consumer_timeout", message, advice)
    else:
        yield Diagnosis("ok", "timeouts", "broker.consumer_timeout", message)


def longest_attempt(settings: Settings, others: Mapping[str, float]) -> tuple[str, float]:
    """The hook whose attempts may take longest, and how many seconds."""
    timeouts = {**others, **{hook.id: hook.target.timeout for hook in settings.hooks}}
    return max(timeouts.items(), key=lambda each: each[1], default=("", 0.0))
