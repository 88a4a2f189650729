"""Names and attributes of spans, by the semantic conventions of OpenTelemetry for messaging and HTTP."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracer, SpanKind, StatusCode

from bridge.core.delivery import (
    Answer,
    Delivered,
    FailedForGood,
    Fault,
    Outcome,
    Parked,
    RetryLater,
    TraceContext,
)
from bridge.core.event import Message, Source, Undecodable
from bridge.core.hook import Hook
from bridge.pipeline.settlement import InFlight, SettledCallback, Settlement, Work
from bridge.pipeline.traced import Spans, answered, attempting, concluded, consumed
from tests.support.events import delivery
from tests.support.tickets import CountingTicket


class Recorded:
    """Spans over the SDK that keeps them in memory."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.spans = Spans(provider.get_tracer("test"))

    def ended(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def hook(**target: Any) -> Hook:
    return Hook.model_validate({"name": "crm", "target": target}).with_id("crm")


def source(queue: str = "hooks2") -> Source:
    return Source(name="splynx", queue=queue)


def settlement(on_settled: SettledCallback | None = None) -> Settlement:
    return Settlement(CountingTicket(), "splynx", InFlight(), on_settled=on_settled)


@pytest.mark.parametrize(
    ("exchange", "key", "destination"),
    [
        ("", "hooks2", "hooks2"),
        ("events", "hooks2", "events:hooks2"),
        ("events", "a.b", "events:a.b:hooks2"),
        ("events", "", "events:hooks2"),
    ],
)
def test_a_consumed_message_is_named_by_exchange_key_and_queue(exchange: str, key: str, destination: str):
    message = Message(b"{}", exchange, key, message_id="m1", correlation_id="c1")
    attributes = consumed(source(), message)
    assert attributes == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": destination,
        **({"messaging.rabbitmq.destination.routing_key": key} if key else {}),
        "messaging.message.id": "m1",
        "messaging.message.conversation_id": "c1",
        "messaging.message.body.size": 2,
        "bridge.source": "splynx",
    }


def test_what_a_publisher_chose_is_cut():
    attributes = consumed(source(), Message(b"{}", correlation_id="ž" * 5000))
    assert attributes["messaging.message.conversation_id"] == "ž" * 500


@pytest.mark.parametrize(
    ("target", "attempt", "name", "kind", "attributes"),
    [
        (
            {"type": "webhook", "url": "https://crm.example.net/in?token=hunter2", "method": "PUT"},
            1,
            "PUT",
            SpanKind.CLIENT,
            {
                "http.request.method": "PUT",
                "server.address": "crm.example.net",
                "server.port": 443,
                "url.full": "https://crm.example.net/in",
            },
        ),
        (
            {"type": "webhook", "url": "http://[::1]:8080/"},
            3,
            "POST",
            SpanKind.CLIENT,
            {
                "http.request.method": "POST",
                "server.address": "::1",
                "server.port": 8080,
                "url.full": "http://[::1]:8080/",
                "http.request.resend_count": 2,
            },
        ),
        (
            {"type": "queue", "exchange": "events", "routing_key": "a.b"},
            1,
            "send events:a.b",
            SpanKind.PRODUCER,
            {
                "messaging.system": "rabbitmq",
                "messaging.operation.name": "send",
                "messaging.operation.type": "send",
                "messaging.destination.name": "events:a.b",
                "messaging.rabbitmq.destination.routing_key": "a.b",
            },
        ),
        (
            {"type": "script", "command": ["./scripts/notify.sh", "--token=hunter2"]},
            1,
            "run notify.sh",
            SpanKind.INTERNAL,
            {"process.executable.name": "notify.sh"},
        ),
        ({"type": "notify", "urls": ["ntfy://hunter2/topic"]}, 1, "notify", SpanKind.CLIENT, {}),
    ],
)
def test_an_attempt_is_named_by_what_it_does_without_secrets(
    target: dict[str, Any], attempt: int, name: str, kind: SpanKind, attributes: dict[str, Any]
):
    expected = {"bridge.target.type": target["type"], "bridge.attempt": attempt, **attributes}
    assert attempting(hook(**target), delivery(attempt=attempt)) == (name, kind, expected)


WEBHOOK = {"type": "webhook", "url": "https://crm.example.net/in"}
SCRIPT = {"type": "script", "command": ["./notify.sh"]}


@pytest.mark.parametrize(
    ("target", "answer", "attributes"),
    [
        (WEBHOOK, Answer(code=204), {"http.response.status_code": 204}),
        (
            WEBHOOK,
            Answer(Fault.STATUS, 503, response=b"hunter2", error="answered 503"),
            {"http.response.status_code": 503, "error.type": "503"},
        ),
        (WEBHOOK, Answer(Fault.TIMEOUT, error="no answer"), {"error.type": "timeout"}),
        (SCRIPT, Answer(code=0), {"process.exit.code": 0}),
        (SCRIPT, Answer(Fault.EXIT, 3), {"process.exit.code": 3, "error.type": "exit"}),
    ],
)
def test_the_span_of_an_attempt_has_its_answer_and_fails_with_it(
    recorded: Recorded, target: dict[str, Any], answer: Answer, attributes: dict[str, Any]
):
    one = hook(**target)
    with recorded.spans.attempt(one, Work(delivery(), settlement())) as span:
        answered(span, one, answer)
    (ended,) = recorded.ended()
    before = attempting(one, delivery())[2]
    assert dict(ended.attributes or {}) == before | attributes
    assert ended.status.status_code is (StatusCode.ERROR if answer.fault else StatusCode.UNSET)
    assert not ended.events


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [
        (Delivered(), False),
        (RetryLater(5.0, "timeout"), False),
        (Parked("paused"), False),
        (FailedForGood("x"), True),
    ],
)
def test_the_span_of_a_delivery_has_its_outcome_and_fails_if_it_failed_for_good(
    recorded: Recorded, outcome: Outcome, failed: bool
):
    with recorded.spans.delivery(hook(**WEBHOOK), Work(delivery(), settlement())) as span:
        concluded(span, outcome)
    (ended,) = recorded.ended()
    assert ended.name == "deliver crm"
    assert (ended.attributes or {})["bridge.outcome"] == type(outcome).__name__
    assert ended.status.is_ok is not failed


def test_an_exception_is_told_by_its_type_alone(recorded: Recorded):
    with (
        pytest.raises(KeyError),
        recorded.spans.attempt(hook(**WEBHOOK), Work(delivery(), settlement())),
    ):
        raise KeyError("hunter2")
    (ended,) = recorded.ended()
    assert (ended.attributes or {})["error.type"] == "KeyError"
    assert "hunter2" not in ended.to_json()


@pytest.mark.parametrize("complete", [True, False])
def test_the_span_of_a_message_ends_when_it_is_settled_and_is_forgotten(recorded: Recorded, complete: bool):
    told: list[bool] = []
    one = recorded.spans.follow(source(), Message(b"{}"), told.append, settlement)
    recorded.spans.quarantined(one, Undecodable("schema", "hunter2"))
    assert (recorded.ended(), told) == ((), [])
    if complete:
        one.fate_committed()
    else:
        one.drop_one()
    (ended,) = recorded.ended()
    assert told == [complete]
    assert (ended.name, ended.kind, ended.parent) == ("process hooks2", SpanKind.CONSUMER, None)
    assert (ended.attributes or {})["error.type"] == "schema"
    assert "hunter2" not in ended.to_json()
    with recorded.spans.delivery(hook(**WEBHOOK), Work(delivery(), one)) as span:
        context = ended.get_span_context()
        assert context is not None
        assert span.get_span_context().trace_id != context.trace_id


@pytest.mark.parametrize("kind", [str, str.encode])
def test_a_span_continues_the_trace_of_a_publisher_and_links_to_it(recorded: Recorded, kind: Any):
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    headers = {"traceparent": kind(parent), "tracestate": kind("congo=t61")}
    one = recorded.spans.follow(source(), Message(b"{}", headers=headers), None, settlement)
    work = Work(delivery(), one)
    with recorded.spans.delivery(hook(**WEBHOOK), work):
        pass
    one.fate_committed()
    below, above = recorded.ended()
    assert above.parent is not None
    assert below.parent == above.get_span_context()
    assert f"{above.parent.span_id:x}" == "b" * 16
    assert [f"{link.context.span_id:x}" for link in above.links] == ["b" * 16]
    context = below.get_span_context()
    assert context is not None
    sent = f"00-{'a' * 32}-{context.span_id:016x}-01"
    assert work.delivery.trace == TraceContext(sent, "congo=t61")


def test_spans_that_the_environment_disables_send_no_context():
    spans = Spans(NoOpTracer())
    work = Work(delivery(), spans.follow(source(), Message(b"{}"), None, settlement))
    with spans.delivery(hook(**WEBHOOK), work), spans.attempt(hook(**WEBHOOK), work):
        assert work.delivery.trace is None


@pytest.mark.parametrize("parent", ["nonsense", f"00-{'0' * 32}-{'b' * 16}-01", 7])
def test_an_invalid_context_begins_a_trace(recorded: Recorded, parent: object):
    message = Message(b"{}", headers={"traceparent": parent, "tracestate": "a=1"})
    recorded.spans.follow(source(), message, None, settlement).fate_committed()
    (ended,) = recorded.ended()
    assert (ended.parent, tuple(ended.links)) == (None, ())
