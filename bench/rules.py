"""What the rules and counters of the hot path cost, and how much hostile input may cost: `./dev bench rules`.

Each case is one function and a bound in microseconds of CPU. The bounds are loose: they tell a change of the order, not
one of the machine. Figures are the best of several rounds.
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from bridge.core.delivery import Attempt, Delivered, Delivery
from bridge.core.event import Event, Message
from bridge.formats.parse import elements
from bridge.routing.table import matches
from bridge.targets.notify.cutting import cut_html
from bridge.telemetry import events, logs
from bridge.telemetry.metrics import Metrics

_ROUNDS = 7


@dataclass(frozen=True)
class Case:
    """One function, how often it runs in a round, and the microseconds that one call may take."""

    name: str
    call: Callable[[], object]
    bound: float
    calls: int = 1


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(prog="./dev bench rules", description=__doc__)
    parser.add_argument("--json", action="store_true", help="figures as JSON, for programs")
    chosen = parser.parse_args(arguments)
    figures = [(case, best(case)) for case in cases()]
    if chosen.json:
        print(
            json.dumps({case.name: {"us": round(taken, 3), "bound": case.bound} for case, taken in figures})
        )
    else:
        show(figures)
    return 0 if all(taken <= case.bound for case, taken in figures) else 1


def best(case: Case) -> float:
    """Microseconds of CPU for one call, the best of the rounds."""
    rounds = []
    for _ in range(_ROUNDS if case.bound < 100_000 else 1):
        started = time.process_time()
        for _ in range(case.calls):
            case.call()
        rounds.append((time.process_time() - started) / case.calls)
    return min(rounds) * 1e6


def show(figures: Sequence[tuple[Case, float]]) -> None:
    """Prints a table."""
    table = Table("case", "us", "bound", "")
    for case, taken in figures:
        held = "holds" if taken <= case.bound else "DOES NOT HOLD"
        table.add_row(case.name, f"{taken:,.2f}", f"{case.bound:,.0f}", held)
    Console().print(table)


def cases() -> list[Case]:
    """All cases, the cheap ones first."""
    array = b"[" + b",".join([b"[" + b"{}," * 500 + b"{}]"] * 5000) + b"]"
    pattern, event_type = ".".join(["#.a"] * 60), ".".join(["a"] * 127 + ["b"])
    return [
        Case("counting a delivery", _counted(), 3, 5000),
        Case("counting a delivery while exemplars are scraped", _counted(scraped=True), 3, 5000),
        Case("an attempt below the log level", _logged(), 2, 5000),
        Case("60 wildcards in a pattern", lambda: matches(pattern, event_type), 1_000_000),
        Case("300,000 tags of HTML that nest", lambda: cut_html("<i>" * 300_000 + "seen", 4000), 3_000_000),
        Case("an array of 7.5 MB taken apart", lambda: elements(array), 4_000_000),
    ]


def _counted(*, scraped: bool = False) -> Callable[[], object]:
    metrics = Metrics(CollectorRegistry(), every_hook=False)
    hook, source = metrics.hook("crm", "webhook"), metrics.source("splynx")
    delivery = Delivery("id", Event("id", "splynx", "customers.create", "splynx", 1.0, Message(b"{}")), "crm")
    if scraped:
        hook.attempted("delivered", 0.02, delivery)
        metrics.want_examples()

    def deliver() -> None:
        source.received.value += 1
        hook.in_flight.value += 1
        hook.attempted("delivered", 0.02, delivery)
        hook.delivered(0.1, delivery)
        hook.in_flight.value -= 1

    return deliver


def _logged() -> Callable[[], object]:
    logs.set_up("info", "json", io.StringIO())
    event = Event("id", "splynx", "customers.create", "splynx", 1.0, Message(b"{}"))
    delivery, attempt, outcome = (
        Delivery("id", event, "crm"),
        Attempt(1, 0.0, 12.3, "delivered", 200),
        Delivered(),
    )
    return lambda: events.attempted(delivery, "webhook", attempt, outcome)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
