"""What one delivery to a healthy, keep-alive endpoint costs."""

from dataclasses import replace

from bench.load import Load
from bench.scenarios.scenario import Case, Claim, Options, Rows, Scenario, bounded, ratio
from bench.subjects.bridge import Bridge
from bench.subjects.programs import HANDWRITTEN, HANDWRITTEN_UVLOOP
from bench.traffic.sinks import EndpointSink

_COUNTED = "bridge, SQL counted"
_BACKLOG = "bridge, backlog"


def cost(options: Options) -> Scenario:
    """The bridge with its history against a hand-written consumer with none."""
    load = Load(events=options.some(30_000), warm=options.some(2_000))
    waiting = replace(load, waiting=options.some(200_000) - load.numbers)
    cases = (
        Case("hand-written", HANDWRITTEN, load),
        Case("bridge", Bridge(), load),
        Case("hand-written, uvloop", HANDWRITTEN_UVLOOP, load),
        Case(_COUNTED, Bridge(counting=True), load, once=True),
        *((Case(_BACKLOG, Bridge(), waiting, once=True),) if options.backlog else ()),
    )
    return Scenario(
        name="cost",
        question=f"{load.events:,} events of 342 bytes wait in the queue, for one endpoint",
        cases=cases,
        sink=lambda stage: EndpointSink(stage.receiver),
        figures=(
            *("cpu_us", "rate", "memory_mb", "endpoint_us", "broker_us", "total_us"),
            *("connections", "own_connections", "statements", "parked", "repeated"),
        ),
        claims=claims,
    )


def claims(rows: Rows) -> list[Claim]:
    cost, memory = ("bridge", "cpu_us"), "resident memory, MB"
    plain, quick = ("hand-written", "cpu_us"), ("hand-written, uvloop", "cpu_us")
    text = "deliveries per CPU second, bridge to hand-written"
    return [
        *ratio(rows, plain, cost, text, at_least=0.8),
        *ratio(rows, quick, cost, f"{text} with uvloop"),
        *bounded(rows, "bridge", "connections", "TCP connections per delivery", 0.01),
        *bounded(rows, _COUNTED, "statements", "SQL statements per delivery", 0.05),
        *bounded(rows, "bridge", "memory_mb", memory, 150),
        *bounded(rows, _BACKLOG, "memory_mb", f"{memory}, with the backlog", 150),
    ]
