"""What a few endpoints that do not answer cost everybody else."""

from dataclasses import replace

from bench.load import Load
from bench.scenarios.scenario import Case, Claim, Options, Rows, Scenario, ratio
from bench.subjects.bridge import Bridge
from bench.subjects.programs import HANDWRITTEN
from bench.subjects.subject import Subject
from bench.traffic.sinks import EndpointSink

_HANGING = 16
_SECONDS = 3.0
_HANG = ", some hang"
_SUBJECTS: dict[str, tuple[Subject, int]] = {
    "bridge, 64 at once": (Bridge(), 64),
    "bridge, 16 at once": (Bridge(), 16),
    "hand-written, 16 at once": (HANDWRITTEN, 16),
}


def hang(options: Options) -> Scenario:
    """The same load with and without attempts that hang, spread evenly over it."""
    load = Load(events=options.some(6_000), warm=options.some(400))
    hanging = replace(load, hang_every=load.events // _HANGING, hang_seconds=_SECONDS)
    cases = tuple(
        Case(f"{label}{suffix}", subject, some, concurrency)
        for label, (subject, concurrency) in _SUBJECTS.items()
        for suffix, some in (("", load), (_HANG, hanging))
    )
    return Scenario(
        name="hang",
        question=f"{_HANGING} of {load.events:,} attempts are answered only after {_SECONDS:.0f} s",
        cases=cases,
        sink=lambda stage: EndpointSink(stage.receiver),
        figures=("seconds", "rate", "cpu_us", "memory_mb", "parked", "repeated"),
        claims=claims,
    )


def claims(rows: Rows) -> list[Claim]:
    return [
        claim
        for label in _SUBJECTS
        for claim in ratio(
            rows, (f"{label}{_HANG}", "seconds"), (label, "seconds"), f"{label}: seconds with to without"
        )
    ]
