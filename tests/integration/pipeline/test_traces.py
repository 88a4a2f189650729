"""Traces that a running bridge exports by OTLP over HTTP."""

import re
import time

import aiohttp

from tests.support.collector import Exported, open_collector
from tests.support.endpoint import OK, hang, status
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PUBLISHER = f"00-{TRACE}-00f067aa0ba902b7-01"
SHORT = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
CONSUMER, PRODUCER, CLIENT, INTERNAL = 5, 4, 3, 1


def link_to(span: Exported) -> tuple[str, ...]:
    return (f"{span.trace}-{span.span}",)


async def test_an_event_is_one_trace_over_a_retry_and_a_queue_into_another_source(scene: Scene):
    first, second = await scene.queue("first"), await scene.queue("second")
    forward = {"name": "forward", "sources": ["first"], "target": {"type": "queue", "queue": second}}
    crm = scene.webhook("crm", sources=["first"], retry={"schedule": ["6s"]})
    last = scene.webhook("last", sources=["second"], target_url=scene.endpoint.url("/last?token=hunter2"))
    scene.endpoint.script("/crm", status(503), OK)
    sources = [{"name": "first", "queue": first}, {"name": "second", "queue": second}]
    async with open_collector() as collector:
        await scene.queues.publish(first, [b"{}"], {"traceparent": PUBLISHER, "tracestate": "congo=t61"})
        named = {"service_name": "bridge of the test", "attributes": {"deployment.environment.name": "test"}}
        telemetry = collector.section(**named)
        async with scene.bridge([forward, crm, last], sources, telemetry=telemetry) as bridge:
            await until(lambda: bridge.history.statuses("crm")["SUCCESS"], 30, what=bridge.last_words)
            await until(lambda: bridge.history.statuses("last")["SUCCESS"], what=bridge.last_words)
        # The stop exported the rest.
        one, spans = collector.one, collector.spans
    assert {span.trace for span in spans} == {TRACE}
    assert {span.state for span in spans} == {"congo=t61"}
    assert {span.resource["service.name"] for span in spans} == {"bridge of the test"}
    assert {span.resource["deployment.environment.name"] for span in spans} == {"test"}

    began = one(f"process {first}")
    assert (began.parent, began.kind, began.failed) == ("00f067aa0ba902b7", CONSUMER, False)
    assert began.links == (f"{TRACE}-00f067aa0ba902b7",)

    parked, resumed = sorted(collector.named("deliver crm"), key=lambda span: len(span.links))
    failed = one("POST", bridge_attempt=1, url_full=scene.endpoint.url("/crm"))
    assert (parked.parent, parked.links) == (began.span, ())
    assert (failed.parent, failed.kind, failed.failed) == (parked.span, CLIENT, True)
    assert failed.attributes["error.type"] == "503"
    assert (resumed.parent, resumed.links) == (failed.span, link_to(failed))
    delivered = one("POST", bridge_attempt=2)
    assert (delivered.parent, delivered.failed) == (resumed.span, False)
    assert [parked.attributes["bridge.outcome"], resumed.attributes["bridge.outcome"]] == [
        "RetryLater",
        "Delivered",
    ]
    assert [request.headers["traceparent"] for request in scene.endpoint.received("/crm")] == [
        failed.traceparent,
        delivered.traceparent,
    ]

    sent, received = one(f"send {second}"), one(f"process {second}")
    assert (sent.parent, sent.kind) == (one("deliver forward").span, PRODUCER)
    assert (received.parent, received.links) == (sent.span, link_to(sent))
    assert one("deliver last").parent == received.span
    (request,) = scene.endpoint.received("/last")
    assert request.headers["tracestate"] == "congo=t61"
    assert "hunter2" not in repr(spans)


async def test_the_copy_of_a_paused_hook_goes_on_in_its_trace_after_a_restart(scene: Scene):
    source = await scene.queue()
    async with open_collector() as collector:
        crm = scene.webhook("crm", paused=True)
        async with scene.prepared([crm], source, telemetry=collector.section(), http=HTTP) as bridge:
            await bridge.start()
            await scene.queues.publish(source, [b"{}"])
            await until(lambda: scene.queues.depth(scene.lane("crm")), what=bridge.last_words)
            await bridge.stop()
            await bridge.start()
            async with operating(bridge) as operator:
                await operator.post("/hooks/crm/resume")
                await until(lambda: bridge.history.statuses("crm")["SUCCESS"], what=bridge.last_words)
            await bridge.stop()
        parked, resumed = sorted(collector.named("deliver crm"), key=lambda span: len(span.links))
        began = collector.one(f"process {source}")
    assert (began.parent, began.links) == ("", ())
    assert (parked.parent, parked.attributes["bridge.outcome"]) == (began.span, "Parked")
    assert (resumed.trace, resumed.parent, resumed.links) == (began.trace, parked.span, link_to(parked))


async def test_a_trace_that_its_publisher_does_not_record_is_passed_on_and_not_exported(scene: Scene):
    source = await scene.queue()
    unrecorded = f"00-{TRACE}-00f067aa0ba902b7-00"
    async with open_collector() as collector:
        await scene.queues.publish(source, [b"1"], {"traceparent": unrecorded})
        await scene.queues.publish(source, [b"2"])
        async with scene.bridge([scene.webhook("crm")], source, telemetry=collector.section()) as bridge:
            await until(lambda: bridge.history.statuses("crm")["SUCCESS"] == 2, what=bridge.last_words)
        (recorded,) = {span.trace for span in collector.spans}
    sent = {request.body: request.headers["traceparent"] for request in scene.endpoint.received("/crm")}
    assert re.fullmatch(rf"00-{TRACE}-(?!00f067aa0ba902b7)[0-9a-f]{{16}}-00", sent[b"1"])
    assert sent[b"2"].startswith(f"00-{recorded}-")


async def test_a_sample_of_none_records_what_publishers_record(scene: Scene):
    source = await scene.queue()
    async with open_collector() as collector:
        await scene.queues.publish(source, [b"1"])
        await scene.queues.publish(source, [b"2"], {"traceparent": PUBLISHER})
        telemetry = collector.section(sample=0)
        async with scene.bridge([scene.webhook("crm")], source, telemetry=telemetry) as bridge:
            await until(lambda: bridge.history.statuses("crm")["SUCCESS"] == 2, what=bridge.last_words)
        assert {span.trace for span in collector.spans} == {TRACE}


async def test_a_collector_that_is_away_delays_nothing_and_is_told_once(scene: Scene):
    source = await scene.queue()
    async with open_collector() as collector:
        await collector.endpoint.close()
        telemetry = collector.section()
        async with scene.prepared([scene.webhook("crm")], source, telemetry=telemetry) as bridge:
            bridge.variables |= {**SHORT, "OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_BSP_MAX_QUEUE_SIZE": "512"}
            await bridge.start()
            for count in (300, 600):
                await scene.queues.publish(source, [b"{}"] * 300)
                await until(
                    lambda: bridge.history.statuses("crm")["SUCCESS"] == count,  # noqa: B023
                    what=bridge.last_words,
                )
            await until(lambda: bridge.said("traces.not_exported"), 20, what=bridge.last_words)
            await collector.endpoint.open()
            await scene.queues.publish(source, [b"{}"])
            await until(lambda: bridge.said("traces.exported"), 20, what=bridge.last_words)
            await bridge.stop()
        (told,) = bridge.said("traces.not_exported")
        assert told["endpoint"] == collector.endpoint.url("/v1/traces")
        assert len(collector.spans) < 3 * 601, "the queue is bounded"


async def test_a_collector_that_hangs_holds_up_no_stop_for_longer_than_its_bound(scene: Scene):
    source = await scene.queue()
    async with open_collector() as collector:
        collector.endpoint.script("/v1/traces", hang)
        await scene.queues.publish(source, [b"{}"])
        async with scene.bridge([scene.webhook("crm")], source, telemetry=collector.section()) as bridge:
            await until(lambda: bridge.history.statuses("crm")["SUCCESS"], what=bridge.last_words)
            began = time.monotonic()
            await bridge.stop()
        assert time.monotonic() - began < 12


async def test_nothing_is_exported_unless_traces_are_enabled(scene: Scene):
    source = await scene.queue()
    async with open_collector() as collector:
        await scene.queues.publish(source, [b"{}"], {"traceparent": PUBLISHER})
        async with scene.prepared([scene.webhook("crm")], source, log={"level": "debug"}) as bridge:
            bridge.variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint.url("")} | SHORT
            await bridge.start()
            await until(lambda: bridge.history.statuses("crm")["SUCCESS"], what=bridge.last_words)
            await bridge.stop()
        assert collector.endpoint.requests == []
    (request,) = scene.endpoint.received("/crm")
    assert request.headers["traceparent"] == PUBLISHER
    (line,) = bridge.said("attempt.delivered")
    assert "trace_id" not in line


async def test_standard_variables_say_where_to_export_and_as_whom(scene: Scene):
    source = await scene.queue()
    async with open_collector() as collector:
        await scene.queues.publish(source, [b"{}"])
        telemetry = {"traces": {"enabled": True}}
        async with scene.prepared([scene.webhook("crm")], source, telemetry=telemetry) as bridge:
            bridge.variables |= {
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint.url(""),
                "OTEL_EXPORTER_OTLP_HEADERS": "x-key=secret",
                "OTEL_SERVICE_NAME": "by variable",
            }
            await bridge.start()
            await until(lambda: bridge.history.statuses("crm")["SUCCESS"], what=bridge.last_words)
            await bridge.stop()
        assert {span.resource["service.name"] for span in collector.spans} == {"by variable"}
        assert {request.headers["x-key"] for request in collector.endpoint.requests} == {"secret"}


async def test_log_lines_and_exemplars_name_the_trace_of_an_attempt(scene: Scene):
    source = await scene.queue()
    accept = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with (
        open_collector() as collector,
        scene.bridge(
            [scene.webhook("crm")], source, telemetry=collector.section(), log={"level": "debug"}
        ) as bridge,
        aiohttp.ClientSession(headers=accept) as session,
    ):

        async def exemplar() -> str | None:
            async with session.get(f"{bridge.url}/metrics") as answer:
                text = await answer.text()
            await scene.queues.publish(source, [b"{}"])
            found = re.search(r'age_seconds_bucket.* # \{delivery_id="[^"]+",trace_id="([^"]+)"\}', text)
            return found and found[1]

        trace = await until(exemplar, what=bridge.last_words)
        await bridge.stop()
        attempts = {span.span: span for span in collector.named("POST")}
    (line,) = (line for line in bridge.said("attempt.delivered") if line["trace_id"] == trace)
    assert attempts[line["span_id"]].trace == trace


async def test_a_hook_that_sets_the_header_itself_keeps_it(scene: Scene):
    source, other = await scene.queue(), await scene.queue("other")
    own = "00-11111111111111111111111111111111-2222222222222222-01"
    crm = scene.webhook("crm", target_headers={"Traceparent": own})
    target = {"type": "queue", "queue": other, "headers": {"traceparent": own}}
    async with open_collector() as collector:
        await scene.queues.publish(source, [b"{}"])
        hooks = [crm, {"name": "forward", "target": target}]
        async with scene.bridge(hooks, source, telemetry=collector.section()) as bridge:
            await until(lambda: bridge.history.statuses("crm")["SUCCESS"], what=bridge.last_words)
            await until(lambda: bridge.history.statuses("forward")["SUCCESS"], what=bridge.last_words)
    (request,) = scene.endpoint.received("/crm")
    assert [request.headers["traceparent"], "tracestate" in request.headers] == [own, False]
    (message,) = await scene.queues.take_all(other)
    assert (message.header.properties.headers or {})["traceparent"] == own


async def test_a_message_that_cannot_be_read_is_a_span_that_failed(scene: Scene):
    source = await scene.queue()
    async with open_collector() as collector:
        await scene.queues.publish(source, [b"{}"])
        sources = [{"name": "main", "queue": source, "schema": "splynx"}]
        async with scene.bridge([scene.webhook("crm")], sources, telemetry=collector.section()) as bridge:
            await until(lambda: bridge.said("message.quarantined"), what=bridge.last_words)
        (span,) = collector.spans
    (told,) = bridge.said("message.quarantined")
    assert (span.name, span.failed, span.attributes["error.type"]) == (
        f"process {source}",
        True,
        told["reason"],
    )
