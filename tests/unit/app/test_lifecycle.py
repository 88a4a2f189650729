"""Services start in their order, and the shutdown takes its steps in theirs, however far the start came."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from bridge.app.lifecycle import Bridge, Plan, Service, Step
from bridge.core.errors import BridgeError


class Course:
    """What happened, in its order."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def does(self, what: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            self.events.append(what)

        return act

    async def work(self, name: str) -> None:
        self.events.append(f"{name} runs")
        try:
            await asyncio.Event().wait()
        finally:
            self.events.append(f"{name} ends")

    def service(self, name: str, *, while_serving: bool = False) -> Service:
        return Service(name, self.does(f"{name} starts"), lambda: self.work(name), while_serving)


async def fails() -> None:
    raise BridgeError("the port is taken")


def bridge(course: Course, *services: Service, drain: tuple[Step, ...] = ()) -> Bridge:
    async def build() -> Plan:
        course.events.append("built")
        close = (Step("front", course.does("front closes")), Step("database", course.does("database closes")))
        return Plan(services, drain, close, stopped=lambda: course.events.append("stopped"))

    database = course.service("database")
    return Bridge(Plan((database,), (), (Step("database", course.does("database closes")),)), build)


async def test_services_start_in_order_and_end_in_the_opposite_one_between_drain_and_close():
    course = Course()
    drain = (Step("sources", course.does("sources left")), Step("commit", course.does("committed")))
    made = bridge(course, course.service("hooks"), course.service("sources"), drain=drain)
    await made.start()
    await asyncio.sleep(0)
    started, course.events = course.events, []
    assert [each for each in started if each.endswith("starts") or each == "built"] == [
        "database starts",
        "built",
        "hooks starts",
        "sources starts",
    ]
    await made.stop()
    assert course.events == [
        "sources left",
        "committed",
        "sources ends",
        "hooks ends",
        "database ends",
        "front closes",
        "database closes",
        "stopped",
    ]
    assert not made.failed.done()


async def test_what_runs_only_while_serving_ends_before_the_drain_is_over():
    course = Course()
    drain = (Step("turn", lambda: asyncio.sleep(0)), Step("commit", course.does("committed")))
    made = bridge(course, course.service("monitor", while_serving=True), drain=drain)
    await made.start()
    await asyncio.sleep(0)
    await made.stop()
    assert course.events.index("monitor ends") < course.events.index("committed")


async def test_an_error_at_the_start_is_raised_and_what_had_started_is_closed():
    course = Course()
    made = bridge(course, Service("http", start=fails), course.service("sources"))
    with pytest.raises(BridgeError, match="the port is taken"):
        await made.start()
    await made.stop()
    assert "sources starts" not in course.events
    assert course.events[-3:] == ["front closes", "database closes", "stopped"]


async def test_a_dependency_that_is_away_ends_the_start_before_anything_is_built():
    course = Course()

    async def build() -> Plan:
        raise AssertionError

    made = Bridge(
        Plan((Service("database", start=fails),), (), (Step("database", course.does("database closes")),)),
        build,
    )
    with pytest.raises(BridgeError):
        await made.start()
    await made.stop()
    assert course.events == ["database closes"]


async def test_the_error_of_a_running_service_is_the_error_of_the_bridge():
    made = bridge(Course(), Service("prefix lock", run=fails), Service("recorder", run=asyncio.Event().wait))  # type: ignore[arg-type]
    await made.start()
    with pytest.raises(BridgeError, match="the port is taken"):
        await made.failed
    await made.stop()


async def test_a_step_that_takes_too_long_is_named_and_the_next_ones_follow():
    course = Course()
    drain = (Step("channels", asyncio.Event().wait, within=0.01), Step("inlets", course.does("inlets")))
    made = bridge(course, drain=drain)
    await made.start()
    with capture_logs() as lines:
        await made.stop()
    assert [(line["event"], line["step"]) for line in lines] == [("stop.broker_is_silent", "channels")]
    assert "inlets" in course.events
