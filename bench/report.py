"""What was measured, as tables for people and as JSON for programs."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.measuring.session import Result
from bench.scenarios.scenario import Claim

# How a figure is called and how many digits behind the point it has.
_NAMES = {
    "rate": ("deliveries/s", 0),
    "seconds": ("seconds", 2),
    "cpu_us": ("CPU µs", 1),
    "endpoint_us": ("endpoint's CPU µs", 1),
    "broker_us": ("broker's CPU µs", 1),
    "total_us": ("CPU µs of all three", 1),
    "memory_mb": ("memory MB", 1),
    "p50_ms": ("p50 ms", 2),
    "p99_ms": ("p99 ms", 2),
    "connections": ("TCP connections", 5),
    "own_connections": ("TCP connections, own count", 5),
    "statements": ("SQL statements", 4),
    "parked": ("parked", 0),
    "repeated": ("repeated", 0),
}


@dataclass(frozen=True)
class Machine:
    """What the figures depend on besides the code; the load average is from before."""

    cpus: int
    system: str
    python: str
    load_average: float
    broker: str = ""

    @classmethod
    def look(cls) -> "Machine":
        """This one, as it is now."""
        return cls(
            cpus=os.cpu_count() or 0,
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            load_average=psutil.getloadavg()[0],
        )

    def __str__(self) -> str:
        return (
            f"{self.cpus} CPUs, {self.system}, {self.broker}, Python {self.python}, "
            f"load average before {self.load_average:.1f}"
        )


def show_machine(machine: Machine, console: Console) -> None:
    """Where it is measured, and how the tables are to be read."""
    console.print(str(machine), highlight=False)
    console.print("Medians of the runs. CPU, connections and statements are for each delivery.")


def show(result: Result, console: Console) -> None:
    """A scenario's table, and below it what is claimed, what failed, and what was left out."""
    console.print()
    console.print(table(result))
    for claim in result.claims():
        console.print(f"  {told(claim)}")
    for label, reason in result.failures.items():
        console.print(f"  [red]{label} failed[/]: ", end="")
        console.print(reason, markup=False)
    for reason in result.scenario.skipped:
        console.print(f"  skipped: {reason}")


def table(result: Result) -> Table:
    """Figures by cases, the more numerous of the two downwards."""
    cells = [["", *(_NAMES[name][0] for name in result.scenario.figures)]]
    for label, figures in result.medians().items():
        values = (written(getattr(figures, name), _NAMES[name][1]) for name in result.scenario.figures)
        cells.append([label, *values])
    if len(cells) < len(cells[0]):
        cells = [list(line) for line in zip(*cells, strict=True)]
    lines = Table(title=f"{result.scenario.name}: {result.scenario.question}", title_justify="left")
    for heading in cells[0]:
        lines.add_column(heading, justify="right" if heading else "left", no_wrap=not heading)
    for line in cells[1:]:
        lines.add_row(*line)
    return lines


def written(value: float | None, digits: int) -> str:
    """A figure as the table shows it."""
    return "-" if value is None else f"{value:,.{digits}f}"


def told(claim: Claim) -> str:
    """A claim, its figure, its bound and the verdict."""
    text = f"{claim.text}: {claim.value:.3g}"
    if claim.bound is None:
        return text
    verdict = "[green]holds[/]" if claim.holds else "[red]does not hold[/]"
    return f"{text} (at {'least' if claim.at_least else 'most'} {claim.bound:g}): {verdict}"


def as_data(machine: Machine, results: Sequence[Result]) -> dict[str, Any]:
    """Everything, each single run included."""
    return {
        "machine": asdict(machine),
        "scenarios": {result.scenario.name: scenario_data(result) for result in results},
    }


def scenario_data(result: Result) -> dict[str, Any]:
    return {
        "question": result.scenario.question,
        "cases": {
            label: {"median": asdict(result.medians()[label]), "runs": [asdict(run) for run in runs]}
            for label, runs in result.rows.items()
        },
        "claims": [{**asdict(claim), "holds": claim.holds} for claim in result.claims()],
        "failures": result.failures,
        "skipped": list(result.scenario.skipped),
    }
