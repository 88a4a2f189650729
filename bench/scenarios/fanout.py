"""What a delivery costs when each event goes to several hooks."""

from bench.load import Load
from bench.scenarios.scenario import Case, Claim, Options, Rows, Scenario, ratio
from bench.subjects.bridge import Bridge
from bench.subjects.programs import HANDWRITTEN, HANDWRITTEN_UVLOOP
from bench.traffic.sinks import EndpointSink

_HOOKS = 5


def fanout(options: Options) -> Scenario:
    """Five deliveries of each event, which share its decoding and its acknowledgement."""
    load = Load(events=options.some(6_000), warm=options.some(400), copies=_HOOKS)
    return Scenario(
        name="fanout",
        question=f"{load.events:,} events wait in the queue, each for {_HOOKS} hooks",
        cases=(
            Case("hand-written", HANDWRITTEN, load),
            Case("bridge", Bridge(), load),
            Case("hand-written, uvloop", HANDWRITTEN_UVLOOP, load),
        ),
        sink=lambda stage: EndpointSink(stage.receiver),
        figures=(
            *("cpu_us", "rate", "memory_mb", "endpoint_us", "broker_us", "total_us"),
            *("connections", "own_connections", "parked", "repeated"),
        ),
        claims=claims,
    )


def claims(rows: Rows) -> list[Claim]:
    text = "deliveries per CPU second, bridge to hand-written"
    return ratio(rows, ("hand-written", "cpu_us"), ("bridge", "cpu_us"), text, at_least=0.8)
