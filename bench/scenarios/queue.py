"""Queue to queue, against RabbitMQ's shovel."""

from bench.load import Load
from bench.measuring.stage import Stage
from bench.scenarios.scenario import Case, Claim, Options, Rows, Scenario, ratio
from bench.subjects.bridge import Bridge
from bench.subjects.shovel import Shovel
from bench.traffic.sinks import QueueSink
from devtools.rabbitmq import NodeControl

_BRIDGES = {"bridge, 16 at once": 16, "bridge, 200 at once": 200}


def queue(options: Options, stage: Stage) -> Scenario:
    """Both confirm before they acknowledge. The shovel runs inside the broker and is paid for there."""
    load = Load(events=options.some(20_000), warm=options.some(2_000))
    folder = stage.broker.folder
    shovels = () if folder is None else (Case("shovel", Shovel(NodeControl.of(folder)), load),)
    return Scenario(
        name="queue",
        question=f"{load.events:,} events from one queue to another",
        cases=(
            *shovels,
            *(Case(label, Bridge(), load, concurrency) for label, concurrency in _BRIDGES.items()),
        ),
        sink=lambda stage: QueueSink(stage.queues),
        figures=("rate", "cpu_us", "broker_us", "memory_mb", "parked", "repeated"),
        claims=claims,
        skipped=() if shovels else ("shovel: the broker runs in a container, without its plugin",),
    )


def claims(rows: Rows) -> list[Claim]:
    return [
        claim
        for label in _BRIDGES
        for claim in ratio(rows, (label, "rate"), ("shovel", "rate"), f"{label}: rate, to the shovel's")
    ]
