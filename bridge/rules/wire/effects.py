"""What a queue's type and arguments do to its messages, in words: for `run` and for `doctor`."""

from collections.abc import Iterator
from typing import Literal

from bridge.model.queue import QueueKind
from bridge.model.value import value

Weight = Literal["ok", "warning", "problem"]


@value(frozen=True, slots=True)
class Effect:
    """One thing that a queue does, how bad that is, and what to do; may be empty."""

    weight: Weight
    what: str
    advice: str = ""


def effects_of(kind: QueueKind) -> Iterator[Effect]:
    """All that whoever consumes the queue should know; a delivery limit is told elsewhere (bridge.rules.wire.returns)."""
    if kind.taken:
        yield Effect(
            "problem",
            f"another consumer has it for itself, so nothing comes: {kind.taken}",
            "stop that consumer; the bridge tries again all the time",
        )
    if kind.is_stream:
        yield from _of_stream(kind)
    else:
        yield from _of_size(kind)
    if (milliseconds := kind.number("x-message-ttl")) is not None:
        yield Effect(
            "warning",
            f"what waits there for {milliseconds / 1000:g} s is gone: while the bridge is stopped, or behind",
            "take x-message-ttl away, or dead-letter to a queue that somebody looks at",
        )
    if (milliseconds := kind.number("x-expires")) is not None:
        yield Effect(
            "warning",
            f"the broker deletes it with all it holds once nobody has consumed it for {milliseconds / 1000:g} s: a longer "
            "stop of the bridge loses events",
            "take x-expires away",
        )
    if kind.arguments.get("auto_delete") is True:
        yield Effect(
            "problem",
            "the broker deletes it with all it holds when its last consumer leaves: each stop of the bridge loses events",
            "declare it without auto-delete",
        )
    if kind.arguments.get("durable") is False:
        yield Effect("warning", "it is gone once the broker restarts", "declare it durable")
    if kind.has_standbys and not kind.is_stream:
        yield Effect(
            "ok", "it has a single active consumer: of several replicas one gets everything, others stand by"
        )


def _of_stream(kind: QueueKind) -> Iterator[Effect]:
    kept = {
        name: kind.arguments[name] for name in ("x-max-age", "x-max-length-bytes") if name in kind.arguments
    }
    bound = ", ".join(f"{name} {said}" for name, said in kept.items())
    yield Effect("ok", "a stream: read from the place that the history knows, by one replica at a time")
    if bound:
        yield Effect(
            "warning",
            f"it keeps its messages for a while only ({bound}): what was not read by then is gone",
            "keep them for longer than the bridge may be stopped",
        )


def _of_size(kind: QueueKind) -> Iterator[Effect]:
    bounds = [
        f"{number} {unit}"
        for argument, unit in (("x-max-length", "messages"), ("x-max-length-bytes", "bytes"))
        if (number := kind.number(argument)) is not None
    ]
    if not bounds:
        return
    if str(kind.arguments.get("x-overflow", "")).startswith("reject-publish"):
        what = "publishers are refused beyond that, and those who do not wait for confirms lose what they publish"
    else:
        what = "beyond that the broker drops the oldest (x-overflow: drop-head)"
    yield Effect(
        "warning",
        f"it holds at most {' or '.join(bounds)}: {what}",
        "alert on its depth, or take the limit away",
    )
