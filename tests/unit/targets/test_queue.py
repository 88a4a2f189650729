"""Queue targets over the in-memory publisher."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.delivery import Fault, TraceContext
from bridge.core.errors import BrokerRefused, BrokerUnavailable, PublishFailed, PublishTooLarge
from bridge.core.target import QueueTarget as Settings
from bridge.targets.queue import QueuePublisher
from bridge.wire.copies import clean_headers
from tests.support.events import delivery
from tests.support.publisher import MemoryPublisher


def target(publisher: MemoryPublisher, **settings: Any) -> QueuePublisher:
    return QueuePublisher(Settings.model_validate({"type": "queue", "queue": "out", **settings}), publisher)


async def test_body_headers_and_properties_are_passed_on() -> None:
    publisher = MemoryPublisher("out")
    sent = delivery(
        b"\xff raw",
        headers={"tenant": 7, "nested": {"a": [1, None]}},
        content_type="text/x",
        correlation_id="c1",
        webhook_id="stable",
        parse=False,
    )
    assert (await target(publisher, headers={"via": "bridge", "tenant": "8"}).attempt(sent)).fault is None
    (message,) = publisher.queues["out"]
    assert message.body is sent.event.message.body
    assert message.like is sent.event.message
    assert (message.exchange, message.routing_key, message.message_id) == ("", "out", "stable")
    assert message.headers == {
        "tenant": "8",
        "nested": {"a": [1, None]},
        "via": "bridge",
        "x-bridge-hops": 1,
    }


TRACE = TraceContext(f"00-{'a' * 32}-{'b' * 16}-01")
PUBLISHERS = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "x=1", "n": 1}


@pytest.mark.parametrize(
    ("trace", "own", "expected"),
    [
        (None, {}, PUBLISHERS),
        (TRACE, {}, {"n": 1, "traceparent": TRACE.parent}),
        (TRACE._replace(state="y=2"), {}, {"n": 1, "traceparent": TRACE.parent, "tracestate": "y=2"}),
        (TRACE, {"traceparent": "own"}, PUBLISHERS | {"traceparent": "own"}),
    ],
)
async def test_the_trace_goes_on_unless_the_hook_sets_it_itself(
    trace: TraceContext | None, own: dict[str, str], expected: dict[str, Any]
) -> None:
    publisher = MemoryPublisher("out")
    sent = replace(delivery(headers=PUBLISHERS), trace=trace)
    assert (await target(publisher, headers=own).attempt(sent)).fault is None
    (message,) = publisher.queues["out"]
    assert message.headers == expected | {"x-bridge-hops": 1}


PUBLISHED: dict[str, Any] = {
    "reply_to": "answers",
    "priority": 9,
    "expiration": "60000",
    "message_id": "theirs",
    "webhook_id": "stable",
}


@pytest.mark.parametrize(
    ("keep", "expiration", "message_id"),
    [
        ([], None, "stable"),
        (["expiration"], "60000", "stable"),
        (["message_id"], None, "theirs"),
        (["message_id", "expiration"], "60000", "theirs"),
    ],
)
async def test_who_is_answered_is_kept_and_life_and_id_where_the_hook_says_so(
    keep: list[str], expiration: str | None, message_id: str
) -> None:
    publisher = MemoryPublisher("out")
    await target(publisher, keep=keep).attempt(delivery(**PUBLISHED))
    (message,) = publisher.queues["out"]
    assert (message.reply_to, message.priority) == ("answers", 9)
    assert (message.expiration, message.message_id) == (expiration, message_id)


async def test_a_publisher_without_an_id_leaves_the_stable_one() -> None:
    publisher = MemoryPublisher("out")
    await target(publisher, keep=["message_id"]).attempt(delivery(webhook_id="stable"))
    assert publisher.queues["out"][0].message_id == "stable"


def test_what_bridges_and_brokers_wrote_is_left_out() -> None:
    headers = {
        "x-bridge-delivery": "d",
        "X-Bridge-Generation": 2,
        "x-bridge-hops": 3,
        "x-death": [{}],
        "x-first-death-queue": "q",
        "x-last-death-reason": "expired",
        "CC": ["elsewhere"],
        "BCC": ["elsewhere"],
        "x-deaf": "kept",
        "ccx": "kept",
    }
    assert clean_headers(headers) == {"x-deaf": "kept", "ccx": "kept"}


@pytest.mark.parametrize(("told", "sent"), [(9, 10), (0, 1), (None, 1), ("x", 1), (True, 1), (-5, 1)])
async def test_hops_are_counted_from_what_the_message_tells(told: Any, sent: int) -> None:
    publisher = MemoryPublisher("out")
    await target(publisher).attempt(delivery(headers={"x-bridge-hops": told}))
    assert publisher.queues["out"][0].headers["x-bridge-hops"] == sent


async def test_a_message_that_goes_round_in_a_circle_fails_for_good() -> None:
    publisher = MemoryPublisher("out")
    for hops in (10, 12):
        sent = delivery(headers={"x-bridge-hops": hops})
        answer = await target(publisher).attempt(sent)
        assert (answer.fault, answer.lasting) == (Fault.LOOP, True)
    assert publisher.queues["out"] == []


@pytest.mark.parametrize(
    ("error", "fault", "lasting"),
    [
        (PublishTooLarge("131 kB of headers"), Fault.TOO_LARGE, True),
        (PublishFailed("nacked"), Fault.NOT_CONFIRMED, False),
        (BrokerRefused("404 no exchange"), Fault.NOT_CONFIRMED, False),
        (BrokerUnavailable("gone"), Fault.NOT_CONFIRMED, False),
        (RuntimeError("bug"), Fault.BUG, False),
    ],
)
async def test_what_the_publisher_raises_becomes_a_fault(
    error: Exception, fault: Fault, lasting: bool
) -> None:
    publisher = MemoryPublisher("out")
    publisher.failing = error
    answer = await target(publisher).attempt(delivery())
    assert (answer.fault, answer.lasting) == (fault, lasting)
    assert str(error) in answer.error


async def test_a_missing_queue_is_unroutable_until_somebody_makes_it() -> None:
    publisher = MemoryPublisher()
    made = target(publisher)
    answer = await made.attempt(delivery())
    assert (answer.fault, answer.error) == (Fault.UNROUTABLE, "no queue took it: queue 'out'")
    publisher.queues["out"] = []
    assert (await made.attempt(delivery())).fault is None


async def test_a_queue_is_declared_once_and_again_when_it_vanished() -> None:
    publisher = MemoryPublisher()
    made = target(publisher, declare=True)
    assert [(await made.attempt(delivery())).fault for _ in range(3)] == [None] * 3
    assert publisher.declared == ["out"]
    del publisher.queues["out"]
    assert (await made.attempt(delivery())).fault is Fault.UNROUTABLE
    assert (await made.attempt(delivery())).fault is None
    assert publisher.declared == ["out", "out"]


async def test_an_exchange_is_published_to_and_never_declared() -> None:
    publisher = MemoryPublisher()
    made = target(publisher, queue=None, exchange="events", routing_key="crm.in", declare=True)
    answer = await made.attempt(delivery())
    assert answer.error == "no queue took it: exchange 'events' with routing key 'crm.in'"
    assert publisher.declared == []


async def test_waiting_for_the_confirm_counts_as_time() -> None:
    publisher = MemoryPublisher("out")
    publisher.open.clear()
    made = target(publisher, timeout=0.2)
    sent = [delivery(event_id=f"event-{number}") for number in range(3)]
    answers = await asyncio.gather(*map(made.attempt, sent))
    assert [answer.fault for answer in answers] == [Fault.TIMEOUT] * 3
    publisher.open.set()
    assert (await made.attempt(delivery())).fault is None
