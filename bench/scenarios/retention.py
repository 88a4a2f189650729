"""Whether deliveries go on while retention removes half of a large history."""

from bench.load import Load
from bench.measuring.stage import Stage
from bench.scenarios.scenario import Case, Claim, Options, Rows, Scenario, ratio
from bench.subjects.aged import AgedBridge, Archive
from bench.traffic.sinks import EndpointSink

_DELIVERIES = 1_000_000
_KEEPING, _REMOVING = "bridge, keeping all", "bridge, removing half"


async def retention(options: Options, stage: Stage) -> Scenario:
    """The same bridge on the same history twice: once there is nothing to remove. Makes that history, which takes a while."""
    past = Archive(options.some(_DELIVERIES))
    await past.make(stage.scratch.path)
    load = Load(events=options.some(30_000), warm=options.some(8_000))
    return Scenario(
        name="retention",
        question=f"{load.events:,} events, while {past.deliveries // 2:,} of {past.deliveries:,} deliveries are removed",
        cases=(
            Case(_KEEPING, AgedBridge(past, removing=False), load),
            Case(_REMOVING, AgedBridge(past, removing=True), load),
        ),
        sink=lambda stage: EndpointSink(stage.receiver),
        figures=("rate", "cpu_us", "memory_mb", "p50_ms", "p99_ms", "parked", "repeated"),
        claims=claims,
    )


def claims(rows: Rows) -> list[Claim]:
    slow, usual = (_REMOVING, "rate"), (_KEEPING, "rate")
    return [*ratio(rows, slow, usual, "rate while removing to rate without", at_least=0.7)]
