"""`./dev bench`: which scenarios, how much, and how the figures are shown."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import backlog, history, replay, report, rules
from bench.measuring.session import Result, measure, schedule
from bench.measuring.stage import Stage, open_bench_broker, open_stage, version_of
from bench.options import NAMES, parser
from bench.scenarios.cost import cost
from bench.scenarios.fanout import fanout
from bench.scenarios.hang import hang
from bench.scenarios.latency import latency
from bench.scenarios.queue import queue
from bench.scenarios.retention import retention
from bench.scenarios.scenario import Options, Scenario
from bench.scenarios.scripts import scripts
from devtools.choice.broker import Broker

# Of what is written into a file or a log; a terminal knows its own.
_WIDTH = 110


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    if arguments[:1] == ["backlog"]:
        return backlog.main(arguments[1:])
    if arguments[:1] == ["history"]:
        return history.main(arguments[1:])
    if arguments[:1] == ["replay"]:
        return replay.main(arguments[1:])
    if arguments[:1] == ["rules"]:
        return rules.main(arguments[1:])
    chosen = parser().parse_args(arguments)
    names = NAMES if "all" in chosen.scenarios else tuple(dict.fromkeys(chosen.scenarios))
    options = Options(
        rounds=chosen.rounds or (1 if chosen.quick else 3),
        share=0.1 if chosen.quick else 1.0,
        backlog=chosen.backlog,
        install=chosen.install,
    )
    machine = report.Machine.look()
    with open_bench_broker() as broker:
        machine = replace(machine, broker=version_of(broker))
        tell = silent if chosen.json else teller(machine)
        results = asyncio.run(measure_all(broker, names, options, tell))
    if chosen.json:
        print(json.dumps(report.as_data(machine, results), indent=2))
    return 0 if all(is_good(result, options) for result in results) else 1


def teller(machine: report.Machine) -> Callable[[Result], None]:
    """Shows each result as it comes, so that an interruption loses only what is not done yet."""
    console = Console()
    console = console if console.is_terminal else Console(width=_WIDTH)
    report.show_machine(machine, console)
    return partial(report.show, console=console)


def silent(_: Result) -> None:
    """Everything is printed at the end."""


async def measure_all(
    broker: Broker, names: Sequence[str], options: Options, tell: Callable[[Result], None]
) -> list[Result]:
    """The scenarios one after the other."""
    results = []
    async with open_stage(broker) as stage:
        for name in names:
            scenario = await retention(options, stage) if name == "retention" else build(name, options, stage)
            results.append(await show_progress(stage, scenario, options))
            tell(results[-1])
    return results


def build(name: str, options: Options, stage: Stage) -> Scenario:
    """The scenario with that name."""
    match name:
        case "cost":
            return cost(options)
        case "latency":
            return latency(options)
        case "fanout":
            return fanout(options)
        case "queue":
            return queue(options, stage)
        case "scripts":
            return scripts(options)
        case "hang":
            return hang(options)
        case _:
            raise ValueError(name)


async def show_progress(stage: Stage, scenario: Scenario, options: Options) -> Result:
    """Measures a scenario under a progress bar on stderr."""
    runs = len(schedule(scenario.cases, options.rounds))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Drawn twice a second and no more: it runs on the cores that are measured.
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=2) as progress:
        task = progress.add_task(scenario.name, total=runs)

        def tell(run: str, done: int, what: str, count: int) -> None:
            arrived = f" ({count:,})" if count else ""
            progress.update(task, description=f"{run}: {what}{arrived}", completed=done)

        result = await measure(stage, scenario, options.rounds, tell)
        progress.update(task, description=scenario.name, completed=runs)
    return result


def is_good(result: Result, options: Options) -> bool:
    """Whether nothing failed and, unless it was too quick to judge, all bounds hold."""
    return not result.failures and (options.share < 1 or all(claim.holds for claim in result.claims()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
