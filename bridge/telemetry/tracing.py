"""Traces: spans made by OpenTelemetry's API and exported by OTLP over HTTP. Imported only where traces are on.

Spans are exported in a thread, from a queue that drops the oldest when it is full: a collector that is away delays no delivery.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer

from bridge import __version__
from bridge.core.errors import Problem, SettingsError
from bridge.settings.shown import without_password
from bridge.settings.tree import Traces
from bridge.telemetry import events

Attributes = dict[str, str | int]
_NAME = "amqp-bridge"
_FLUSH = 5.0
"""Seconds that the stop waits for the last spans to be exported."""
_LOOK_EVERY = 0.02


class Tracing:
    """The tracer of this process, and the end of its export."""

    def __init__(self, settings: Traces) -> None:
        """Starts the thread that exports; the collector need not be there. Raises SettingsError for variables of the environment
        that make no sense.
        """
        sampler = None if settings.sample is None else ParentBased(TraceIdRatioBased(settings.sample))
        try:
            exporter = BatchSpanProcessor(_Export(OTLPSpanExporter(settings.endpoint)))
        except (ValueError, OSError) as error:
            raise SettingsError([Problem("telemetry.traces", f"a variable OTEL_*: {error}")]) from None
        self._provider = TracerProvider(sampler, _resource(settings), shutdown_on_exit=False)
        self._provider.add_span_processor(exporter)
        self.tracer: Tracer = self._provider.get_tracer(_NAME, __version__)

    async def close(self) -> None:
        """Exports the spans that are left, for at most five seconds; the rest is lost."""
        # Not in the event loop's own threads, whose end is awaited without a bound.
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        for _ in range(round(_FLUSH / _LOOK_EVERY)):
            if not ending.is_alive():
                return
            await asyncio.sleep(_LOOK_EVERY)


def _resource(settings: Traces) -> Resource:
    named = {} if settings.service_name is None else {"service.name": settings.service_name}
    found = Resource.create({"service.version": __version__, **settings.attributes, **named})
    if str(found.attributes["service.name"]).startswith("unknown_service"):
        return found.merge(Resource({"service.name": _NAME}))
    return found


@contextmanager
def current(
    tracer: Tracer,
    name: str,
    attributes: Attributes,
    *,
    context: Context | None = None,
    links: Sequence[Link] = (),
    kind: SpanKind = SpanKind.INTERNAL,
) -> Iterator[Span]:
    """Has a new span be the current one; `context`: that of its parent, None for the current span."""
    # Messages of exceptions may hold anything: the span has their type alone.
    with tracer.start_as_current_span(
        name, context, kind, attributes, links, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            failed(span, type(error).__name__)
            raise


def failed(span: Span, kind: str) -> None:
    """Marks the span as failed, with the kind of the error."""
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)


class _Export(SpanExporter):
    """An exporter that tells once that it cannot export, and once that it can again."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._endpoint = without_password(exporter._endpoint)  # noqa: SLF001 - it may come from the environment
        self._lost = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        lost = result is not SpanExportResult.SUCCESS
        if lost and not self._lost:
            events.traces_lost(self._endpoint)
        elif self._lost and not lost:
            events.traces_exported(self._endpoint)
        self._lost = lost
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
