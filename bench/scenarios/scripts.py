"""A program for every event, against amqp-consume."""

import shutil
import sys

from bench.load import Load
from bench.scenarios.scenario import Case, Claim, Options, Rows, Scenario, ratio
from bench.subjects.bridge import Bridge
from bench.subjects.programs import AMQP_CONSUME
from bench.traffic.sinks import ScriptSink
from devtools.choice import packages

_PACKAGE = "amqp-tools"
_MISSING = f"amqp-consume: it is not installed; --install does (package {_PACKAGE} of Debian and Ubuntu)"


def scripts(options: Options) -> Scenario:
    """A shell script that reads the event and starts nothing itself."""
    load = Load(events=options.some(3_000), warm=options.some(300))
    found = is_there(options)
    rivals = (Case("amqp-consume", AMQP_CONSUME, load, concurrency=1),) if found else ()
    return Scenario(
        name="scripts",
        question=f"{load.events:,} events, each piped into a small shell script",
        cases=(*rivals, Case("bridge", Bridge(), load)),
        sink=lambda _: ScriptSink(),
        figures=("rate", "cpu_us", "broker_us", "memory_mb", "parked", "repeated"),
        claims=claims,
        skipped=() if found else (_MISSING,),
    )


def claims(rows: Rows) -> list[Claim]:
    text = "scripts per second, bridge to amqp-consume"
    return ratio(rows, ("bridge", "rate"), ("amqp-consume", "rate"), text, at_least=1.0)


def is_there(options: Options) -> bool:
    """Whether amqp-consume can be started; it is installed first where that was agreed to."""
    if shutil.which("amqp-consume"):
        return True
    agreed = options.install or sys.stdin.isatty()
    return agreed and packages.install(apt=_PACKAGE, brew="rabbitmq-c")
