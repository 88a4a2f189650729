"""Spans of messages, deliveries and attempts, by the semantic conventions of OpenTelemetry. Imported only where traces are on.

A message of a source makes a span that ends when it is settled; each of its deliveries one below it, and each attempt one below
that. What goes on through a queue (a copy in a lane or on the ladder, an event that a queue target published) continues the trace
of the span that published it, as its child, and links to it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import assert_never
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bridge.core.delivery import (
    Answer,
    Attempt,
    Delivery,
    FailedForGood,
    Fault,
    Outcome,
    TraceContext,
)
from bridge.core.event import Message, Source, Undecodable
from bridge.core.hook import Hook
from bridge.core.target import NotifyTarget, QueueTarget, ScriptTarget, WebhookTarget
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.settlement import SettledCallback, Settlement, Work
from bridge.telemetry.tracing import Attributes, current, failed
from bridge.wire.copies import cut_text
from bridge.wire.headers import traceparent, tracestate

_W3C = TraceContextTextMapPropagator()
_LONGEST = 1000
"""Bytes of a text that a publisher chose."""


class Spans:
    """The spans of this process."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._open: dict[Settlement, Span] = {}

    def follow(
        self,
        source: Source,
        message: Message,
        on_settled: SettledCallback | None,
        settlement: Callable[[SettledCallback], Settlement],
    ) -> Settlement:
        """Returns the settlement of a message, which the function makes, and whose span ends with it."""
        context, links = _continued(message.headers)
        span = self._tracer.start_span(
            f"process {source.queue}", context, SpanKind.CONSUMER, consumed(source, message), links
        )

        def settled(complete: bool) -> None:
            self._open.pop(followed, None)
            span.end()
            if on_settled is not None:
                on_settled(complete)

        followed = settlement(settled)
        self._open[followed] = span
        return followed

    def quarantined(self, settlement: Settlement, fault: Undecodable) -> None:
        """Notes in the span of a message that it, or a part of it, went to quarantine."""
        if (span := self._open.get(settlement)) is not None:
            failed(span, fault.reason)

    @contextmanager
    def delivery(self, hook: Hook, work: Work) -> Iterator[Span]:
        """Has a span of the delivery be the current one, and what follows continue it."""
        context, links = self._before(work)
        attributes = delivering(hook, work.delivery)
        with current(self._tracer, f"deliver {hook.name}", attributes, context=context, links=links) as span:
            work.delivery = replace(work.delivery, trace=context_of(span))
            yield span

    @contextmanager
    def attempt(self, hook: Hook, work: Work) -> Iterator[Span]:
        """Has a span of an attempt be the current one, and the request, message or copy that follows continue it."""
        name, kind, attributes = attempting(hook, work.delivery)
        with current(self._tracer, name, attributes, kind=kind) as span:
            work.delivery = replace(work.delivery, trace=context_of(span))
            yield span

    def _before(self, work: Work) -> tuple[Context | None, list[Link]]:
        """Returns what a delivery continues: the span that parked it, that of its message, or the publisher's."""
        if work.delivery.trace is not None:
            return _continued(work.delivery.trace.headers)
        if (span := self._open.get(work.settlement)) is not None:
            return set_span_in_context(span), []
        return _continued(work.delivery.event.message.headers)


@dataclass(frozen=True, kw_only=True)
class TracedDelivering(Delivering):
    """Runs the stages as `Delivering`, within spans."""

    spans: Spans

    async def deliver(self, runner: HookWorker, work: Work) -> None:
        """See Delivering."""
        with self.spans.delivery(runner.hook, work):
            await super().deliver(runner, work)

    async def _perform(self, runner: HookWorker, work: Work) -> Answer:
        with self.spans.attempt(runner.hook, work) as span:
            answer = await super()._perform(runner, work)
            answered(span, runner.hook, answer)
            return answer

    async def conclude(
        self, runner: HookWorker, work: Work, outcome: Outcome, attempt: Attempt | None = None
    ) -> None:
        """See Delivering."""
        concluded(get_current_span(), outcome)
        await super().conclude(runner, work, outcome, attempt)

    async def _park(self, runner: HookWorker, reason: str, work: Work) -> None:
        with self.spans.delivery(runner.hook, work):
            await super()._park(runner, reason, work)

    def quarantine(self, fault: Undecodable, message: Message, settlement: Settlement) -> None:
        """See Delivering."""
        self.spans.quarantined(settlement, fault)
        super().quarantine(fault, message, settlement)


def context_of(span: Span) -> TraceContext | None:
    """Returns the context of a span as headers carry it; None if it has none, as where OTEL_SDK_DISABLED is set."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    return TraceContext(parent, context.trace_state.to_header())


def _continued(headers: Mapping[str, object]) -> tuple[Context | None, list[Link]]:
    """Returns the context in headers, and a link to it; none if they have no valid one: a trace begins."""
    parent = traceparent(headers.get("traceparent"))
    if parent is None:
        return Context(), []
    carrier = {"traceparent": parent, "tracestate": tracestate(headers.get("tracestate")) or ""}
    context = _W3C.extract(carrier, Context())
    return context, [Link(get_current_span(context).get_span_context())]


# Names and attributes.


def consumed(source: Source, message: Message) -> Attributes:
    """Returns the attributes of the span of a consumed message."""
    queue = () if source.queue == message.routing_key else (source.queue,)
    places = (message.exchange, message.routing_key, *queue)
    return _told(
        {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": ":".join(filter(None, places)),
            "messaging.rabbitmq.destination.routing_key": message.routing_key,
            "messaging.message.id": message.message_id,
            "messaging.message.conversation_id": message.correlation_id,
            "messaging.message.body.size": len(message.body),
            "bridge.source": source.name,
        }
    )


def delivering(hook: Hook, delivery: Delivery) -> Attributes:
    """Returns the attributes of the span of a delivery."""
    event = delivery.event
    return _told(
        {
            "bridge.delivery.id": delivery.id,
            "bridge.event.id": event.id,
            "bridge.event.type": event.type,
            "bridge.source": event.source,
            "bridge.hook.id": hook.id,
            "bridge.hook.name": hook.name,
        }
    )


def attempting(hook: Hook, delivery: Delivery) -> tuple[str, SpanKind, Attributes]:
    """Returns name, kind and attributes of the span of an attempt."""
    own: Attributes = {"bridge.target.type": hook.target.type, "bridge.attempt": delivery.attempt}
    match hook.target:
        case WebhookTarget() as target:
            return target.method, SpanKind.CLIENT, own | _requesting(target, delivery)
        case QueueTarget() as target:
            name, attributes = _sending(target)
            return name, SpanKind.PRODUCER, own | attributes
        case ScriptTarget() as target:
            program = PurePath(target.command[0]).name
            return f"run {program}", SpanKind.INTERNAL, own | {"process.executable.name": program}
        case NotifyTarget():
            return "notify", SpanKind.CLIENT, own
        case _:
            assert_never(hook.target)


def _requesting(target: WebhookTarget, delivery: Delivery) -> Attributes:
    url = urlsplit(target.url)
    attributes: Attributes = {
        "http.request.method": target.method,
        "server.address": url.hostname or "",
        "server.port": url.port or (443 if url.scheme == "https" else 80),
        # The query may hold secrets.
        "url.full": url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment="").geturl(),
    }
    return attributes | ({"http.request.resend_count": delivery.attempt - 1} if delivery.attempt > 1 else {})


def _sending(target: QueueTarget) -> tuple[str, Attributes]:
    key = (target.routing_key if target.queue is None else target.queue) or ""
    destination = ":".join(filter(None, (target.exchange, key))) or "amq.default"
    return f"send {destination}", _told(
        {
            "messaging.system": "rabbitmq",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": destination,
            "messaging.rabbitmq.destination.routing_key": key,
        }
    )


def answered(span: Span, hook: Hook, answer: Answer) -> None:
    """Puts the result of an attempt into its span."""
    if answer.code is not None:
        script = isinstance(hook.target, ScriptTarget)
        span.set_attribute("process.exit.code" if script else "http.response.status_code", answer.code)
    if answer.fault is not None:
        by_status = answer.fault in {Fault.STATUS, Fault.REDIRECT} and answer.code is not None
        failed(span, str(answer.code) if by_status else answer.fault.value)


def concluded(span: Span, outcome: Outcome) -> None:
    """Puts the outcome of a delivery into its span."""
    span.set_attribute("bridge.outcome", type(outcome).__name__)
    if isinstance(outcome, FailedForGood):
        failed(span, "failed_for_good")


def _told(attributes: Mapping[str, str | int | None]) -> Attributes:
    """Returns the attributes that are known, their texts cut."""
    return {
        name: cut_text(value, _LONGEST) if isinstance(value, str) else value
        for name, value in attributes.items()
        if value not in {None, ""}
    }
