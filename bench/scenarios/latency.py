"""How long a delivery takes when there is little to do."""

from bench.load import Load
from bench.scenarios.scenario import Case, Claim, Options, Rows, Scenario, bounded
from bench.subjects.bridge import Bridge
from bench.subjects.programs import HANDWRITTEN, HANDWRITTEN_UVLOOP
from bench.traffic.sinks import EndpointSink

_PER_SECOND = 200


def latency(options: Options) -> Scenario:
    """From publish to receipt, by the clock of the one machine that both happen on."""
    seconds = options.some(15)
    load = Load(events=seconds * _PER_SECOND, warm=_PER_SECOND, per_second=_PER_SECOND)
    return Scenario(
        name="latency",
        question=f"{_PER_SECOND} events per second for {seconds} seconds: from publish to receipt",
        cases=(
            Case("hand-written", HANDWRITTEN, load),
            Case("bridge", Bridge(), load),
            Case("hand-written, uvloop", HANDWRITTEN_UVLOOP, load),
        ),
        sink=lambda stage: EndpointSink(stage.receiver),
        figures=("p50_ms", "p99_ms", "cpu_us", "rate", "memory_mb", "parked", "repeated"),
        claims=claims,
    )


def claims(rows: Rows) -> list[Claim]:
    return bounded(rows, "bridge", "p99_ms", "p99 of the bridge, ms (on an idle machine)", 25)
