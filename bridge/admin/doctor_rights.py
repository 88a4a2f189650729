"""What `doctor` makes of rights on the broker: each that is missing, with the names that it is missing on."""

import re
from collections.abc import Iterator, Mapping, Sequence

from bridge.admin.doctor import Diagnosis
from bridge.ports.survey import FoundBroker, FoundObject, Right
from bridge.settings.tree import Settings

_RIGHTS: tuple[Right, ...] = ("configure", "write", "read")
_NAMED = 100


def may_make(found: FoundBroker, settings: Settings) -> bool:
    """Whether the start makes what is missing; else somebody has to make it beforehand."""
    return settings.broker.topology == "create" and found.rights.configure is not False


def of_rights(
    found: FoundBroker, granted: Mapping[Right, str] | None, settings: Settings
) -> Iterator[Diagnosis]:
    """`granted` are the user's expressions by right, as far as the management API tells them."""
    for right in _RIGHTS:
        lacking = [each.name for each in found.objects if right in each.refused]
        if granted is not None:
            lacking += [name for name in _needed(right, found, settings) if not _fits(granted[right], name)]
        yield _right(right, sorted(set(lacking)), found, settings)
    yield from _default_exchange(found.rights.default_exchange, settings)


def _needed(right: Right, found: FoundBroker, settings: Settings) -> Iterator[str]:
    """Who makes the objects binds them, too, which takes every right; later on only some are taken."""
    for each in found.objects:
        if settings.broker.topology == "create" or each.use == right:
            yield each.name
    if right == "read":
        yield from (source.queue for source in settings.sources)


def _fits(expression: str, name: str) -> bool:
    try:
        return re.search(expression or "^$", name) is not None
    except re.error:
        return True  # the broker's expressions know more; what it refuses is seen all the same


def _right(right: Right, lacking: Sequence[str], found: FoundBroker, settings: Settings) -> Diagnosis:
    prefix = settings.broker.prefix
    subject = f"right to {right} {prefix}.*"
    tried = getattr(found.rights, right)
    if right == "configure" and settings.broker.topology == "verify" and (lacking or not tried):
        message = "not granted, and not needed with broker.topology: verify"
        return Diagnosis("ok", "rights", subject, message)
    if lacking or tried is False:
        advice = f"rabbitmqctl set_permissions: {right} {_expression(lacking, prefix)}"
        if right == "configure":
            advice += "; or create everything beforehand and set broker.topology: verify"
        told = f" on {_names(lacking)}" if lacking else f": {found.rights.said}"
        return Diagnosis("problem", "rights", subject, f"not granted{told}", advice)
    if tried is None and not any(each.use == right and each.state != "missing" for each in found.objects):
        message = "not to be tried before our exchanges and queues exist"
        return Diagnosis("warning", "rights", subject, message, "look again once they do")
    return Diagnosis("ok", "rights", subject, "granted")


def _expression(lacking: Sequence[str], prefix: str) -> str:
    others = [f"|^{re.escape(name)}$" for name in lacking if not name.startswith(f"{prefix}.")]
    return rf"^{re.escape(prefix)}\." + "".join(others)


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _default_exchange(writable: bool | None, settings: Settings) -> Iterator[Diagnosis]:
    """Whatever is published into a queue by its name takes it."""
    if writable is not False:
        return
    by_name = [
        hook.id
        for hook in settings.hooks
        if getattr(hook.target, "queue", None) and not hook.target.broker  # type: ignore[union-attr]
    ]
    told = [f"inlet {inlet.name}" for inlet in settings.inlets] + [f"hook {hook}" for hook in by_name]
    message = "not granted: nothing can be published into a queue by its name" + (
        f", which {_names(told)} need" if told else " (POST /events, requeuing from quarantine, meta events)"
    )
    advice = r"rabbitmqctl set_permissions: write ^amq\.default$; with it the bridge may write to every queue"
    yield Diagnosis("problem" if told else "warning", "rights", "right to write amq.default", message, advice)


def of_objects(found: FoundBroker, settings: Settings) -> Iterator[Diagnosis]:
    """Our exchanges and queues: as they should be, other ones, missing ones and how to make them."""
    if settings.broker.queue_type == "classic":
        message = "our queues are classic ones: no delivery limit, and dead-lettering without confirms may lose copies"
        yield Diagnosis(
            "warning", "objects", "broker.queue_type", message, "use quorum queues where there are any"
        )
    by_start = may_make(found, settings)
    for each in found.objects:
        yield from _object(each, settings, by_start=by_start)
    lanes = f"{settings.broker.prefix}.lane."
    shared = [each for each in found.objects if not each.name.startswith(lanes)]
    missing = sum(each.state == "missing" for each in shared)
    subject = f"{settings.broker.prefix}.*"
    if missing and by_start:
        message = f"{missing} of {len(shared)} exchanges and queues are not there yet: the start makes them"
        yield Diagnosis("ok", "objects", subject, message)
    right = sum(each.state == "right" for each in found.objects)
    if right:
        yield Diagnosis("ok", "objects", subject, f"{right} exchanges and queues are as they should be")


def _object(found: FoundObject, settings: Settings, *, by_start: bool) -> Iterator[Diagnosis]:
    subject = f"{found.kind} {found.name}"
    match found.state:
        case "other":
            advice = (
                f"delete it once it is empty, or set another broker.prefix; it has to be {found.made}"
                + ("; the start makes it anew" if by_start else "")
            )
            message = f"it is not as the bridge declares it: {found.said}"
            yield Diagnosis("problem", "objects", subject, message, advice)
        case "missing" if not by_start:
            why = "broker.topology is verify" if settings.broker.topology == "verify" else "may not be made"
            yield Diagnosis(
                "problem", "objects", subject, f"it is missing, and {why}", f"make it: {found.made}"
            )
        case "unknown" if "home node" in found.said or "inaccessible" in found.said:
            message = f"it is not available: {found.said}"
            yield Diagnosis("problem", "objects", subject, message, "start the broker's other nodes")
        case "unknown" if settings.broker.topology == "create":
            yield Diagnosis("warning", "objects", subject, f"its arguments are not to be seen: {found.said}")
    if found.depth and found.kind == "queue" and found.name.endswith((".dead", ".orphans")):
        message = f"{found.depth} messages that no hook knows, or that came back too often, lie there"
        advice = "a running bridge takes them: what stays belongs to hooks that nobody knows any more"
        yield Diagnosis("warning", "objects", subject, message, advice)
