"""A collector of traces: an OTLP/HTTP receiver that reads protobuf."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.endpoint import Endpoint, open_endpoint


@dataclass(frozen=True)
class Exported:
    """One span as it was exported; ids in hexadecimal digits, `parent` empty for a root."""

    name: str
    kind: int
    trace: str
    span: str
    parent: str
    state: str
    links: tuple[str, ...]
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    failed: bool

    @property
    def traceparent(self) -> str:
        """The header that continues this span."""
        return f"00-{self.trace}-{self.span}-01"


class Collector:
    """Keeps what bridges export."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def section(self, **traces: Any) -> dict[str, Any]:
        """The section `telemetry` of a bridge that exports to it."""
        url = self.endpoint.url("")
        return {"traces": {"enabled": True, "endpoint": url, **traces}}

    @property
    def spans(self) -> list[Exported]:
        """All spans so far."""
        found = []
        for body in self.endpoint.bodies("/v1/traces"):
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = _plain(group.resource.attributes)
                found += [_exported(span, resource) for scope in group.scope_spans for span in scope.spans]
        return found

    def named(self, name: str) -> list[Exported]:
        """The spans with this name, in the order of their export."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str, **attributes: Any) -> Exported:
        """The span with this name and these attributes (`bridge_attempt=1`)."""
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        (span,) = (span for span in self.named(name) if wanted.items() <= span.attributes.items())
        return span


def _exported(span: Any, resource: Mapping[str, Any]) -> Exported:
    return Exported(
        name=span.name,
        kind=span.kind,
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        state=span.trace_state,
        links=tuple(f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in span.links),
        attributes=_plain(span.attributes),
        resource=resource,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
    )


def _plain(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    """A collector on a free port of the loopback."""
    async with open_endpoint() as endpoint:
        yield Collector(endpoint)
