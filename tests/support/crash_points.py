"""Points between any two steps of the flow at which a bridge may be killed with kill -9, and what each costs.

A bridge that was started with CRASHING is the real one, with code of ours before or after some of its methods: once a
point is armed (a file in the bridge's folder says so), the nth call that comes there ends the process as SIGKILL does.
"""

import inspect
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

CRASHING = (sys.executable, "-c", "from tests.support.crash_points import main; main()")
_ARMED = "crash-point"

Way = Literal["direct", "answered", "retry", "lane", "retry from the lane", "park", "stop", "gone"]


@dataclass(frozen=True)
class Point:
    """Where two events that are under way together meet their end.

    `where` is a method, `module:Class.method`; empty: the endpoint, which has the request and has not answered.
    `call` is the call that ends the process, counted from the arming; those that carry no copy out of a lane do not
    count where `of_copies`. `repeats` says how often, beyond the first time, the endpoint gets an event in the end:
    one whose publisher gave it an id, and one without. `at_most`: or less, as the broker was quick or slow.
    """

    name: str
    way: Way
    where: str
    side: Literal["before", "after"] = "before"
    call: int = 1
    of_copies: bool = False
    repeats: tuple[int, int] = (0, 0)
    at_most: bool = False


_DECODE = "bridge.formats.decoder:Decoder.decode"
_ROUTE = "bridge.pipeline.deliver:Delivering.route"
_ATTEMPT = "bridge.targets.webhook.target:WebhookSender.attempt"
_CONCLUDE = "bridge.pipeline.deliver:Delivering.conclude"
_DELAY = "bridge.amqp.lanes:BrokerCopies.delay"
_PARK = "bridge.amqp.lanes:BrokerCopies.park"
_CONFIRM = "aiormq.channel:Channel._on_confirm_frame"
_COMMIT = "bridge.history.history:SqlHistory.commit"
_WRITE = "bridge.history.batches:Batches.write"
_PAUSE = "bridge.hooks.in_force:HooksInForce._store_pause"
_FENCE = "bridge.pipeline.fencing:Fence.again"
_LET_THROUGH = "bridge.pipeline.fencing:CopyAdmission.let_through"
_LEAVE = "bridge.app.consumption:Sources.leave"
_CLOSE = "bridge.app.consumption:Sources.close"

POINTS = (
    Point("received, not decoded", "direct", _DECODE),
    Point("decoded, not routed", "direct", _DECODE, "after"),
    Point("routed, not attempted", "direct", _ROUTE, "after"),
    Point("attempt begun, nothing sent", "direct", _ATTEMPT),
    Point("request sent, no answer", "direct", "", repeats=(1, 1)),
    Point("answered, not judged", "answered", _ATTEMPT, "after", 2, repeats=(1, 1)),
    Point("judged, not recorded", "answered", _CONCLUDE, call=2, repeats=(1, 1)),
    Point("recorded, commit not begun", "answered", _COMMIT, repeats=(1, 1)),
    Point("commit under way", "answered", _WRITE, "after", repeats=(1, 1)),
    Point("committed, not acked", "answered", _COMMIT, "after", repeats=(0, 1)),
    Point("failed, copy not published", "retry", _DELAY),
    Point("copy published, confirm not heard", "retry", _CONFIRM, repeats=(1, 1), at_most=True),
    Point("copy confirmed, not recorded", "retry", _DELAY, "after", 2, repeats=(1, 1)),
    Point("commit under way", "retry", _WRITE, "after", repeats=(1, 1)),
    Point("committed, not acked", "retry", _COMMIT, "after", repeats=(0, 1)),
    # A copy comes to the fence when it arrives, and again when its time has come: the third time is one that is due.
    Point("copy due, not past the fence", "lane", _FENCE, call=3),
    Point("copy past the fence, not attempted", "lane", _LET_THROUGH, call=3),
    Point("attempt begun, nothing sent", "lane", _ATTEMPT, of_copies=True),
    Point("request sent, no answer", "lane", "", repeats=(1, 1)),
    Point("answered, not judged", "lane", _ATTEMPT, "after", 2, of_copies=True, repeats=(1, 1)),
    Point("commit under way", "lane", _WRITE, "after", of_copies=True, repeats=(1, 1)),
    Point("committed, not acked", "lane", _COMMIT, "after", of_copies=True),
    # The first two copies are those of the first attempts.
    Point("next copy not published", "retry from the lane", _DELAY, call=3),
    Point("next copy confirmed, not recorded", "retry from the lane", _DELAY, "after", 4),
    Point("commit under way", "retry from the lane", _WRITE, "after", of_copies=True),
    Point("committed, not acked", "retry from the lane", _COMMIT, "after", of_copies=True),
    Point("copy not published", "park", _PARK),
    Point("copy confirmed, not recorded", "park", _PARK, "after", 2, repeats=(1, 1)),
    Point("commit under way", "park", _WRITE, "after", repeats=(1, 1)),
    Point("committed, not acked", "park", _COMMIT, "after", repeats=(0, 1)),
    Point("no longer consuming, attempts under way", "stop", _LEAVE, "after", repeats=(1, 1)),
    Point("acks seen to arrive, not closed", "stop", _CLOSE, "after"),
    Point("answered with 410, pause not stored", "gone", _PAUSE, repeats=(1, 1)),
    Point("pause stored, not recorded", "gone", _PAUSE, "after"),
    Point("committed, not acked", "gone", _COMMIT, "after"),
)


def points_of(way: Way) -> list[Point]:
    """The points on this way, in order."""
    return [point for point in POINTS if point.way == way]


def arm(folder: Path, point: Point) -> None:
    """Have the bridge in this folder end at this point from now on."""
    (folder / _ARMED).write_text(str(POINTS.index(point)))


def disarm(folder: Path) -> None:
    """Have it pass all points again."""
    (folder / _ARMED).unlink(missing_ok=True)


def main() -> None:
    """`amqp-bridge`, with all points in place."""
    from bridge.cli.main import main as command

    for where in sorted({point.where for point in POINTS if point.where}):
        _install(where)
    command()


def _install(where: str) -> None:
    """Look at the points around this method whenever it is called."""
    module, _, path = where.partition(":")
    holder, _, name = path.partition(".")
    owner = getattr(import_module(module), holder)
    method = getattr(owner, name)
    before, after = _Side(where, "before"), _Side(where, "after")

    @wraps(method)
    def step(*arguments: Any, **named: Any) -> Any:
        before.passed(arguments)
        result = method(*arguments, **named)
        after.passed(arguments)
        return result

    @wraps(method)
    async def stage(*arguments: Any, **named: Any) -> Any:
        before.passed(arguments)
        result = await method(*arguments, **named)
        after.passed(arguments)
        return result

    setattr(owner, name, stage if inspect.iscoroutinefunction(method) else step)


class _Side:
    """One side of a method: counts the calls since its point was armed."""

    def __init__(self, where: str, side: str) -> None:
        self._points = {
            str(number): point
            for number, point in enumerate(POINTS)
            if (point.where, point.side) == (where, side)
        }
        self._calls = dict.fromkeys(self._points, 0)

    def passed(self, arguments: Sequence[Any]) -> None:
        try:
            armed = Path(_ARMED).read_text()
        except FileNotFoundError:
            return
        point = self._points.get(armed)
        if point is None or (point.of_copies and not any(map(_of_a_copy, arguments))):
            return
        self._calls[armed] += 1
        if self._calls[armed] == point.call:
            os.kill(os.getpid(), signal.SIGKILL)


def _of_a_copy(argument: Any) -> bool:
    """Whether it is, or holds, a delivery that has been tried before."""
    return any(attempt > 1 for attempt in _attempts(argument))


def _attempts(argument: Any) -> Iterator[int]:
    from bridge.core.delivery import Delivery, Record

    match argument:
        case Delivery(attempt=attempt):
            yield attempt
        case Record(delivery=Delivery(attempt=attempt)):
            yield attempt
        case list() | tuple():
            for each in argument:
                yield from _attempts(each)
        case _:
            pass
