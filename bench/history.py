"""`./dev bench history`: how fast a large history answers, and what writing it costs."""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.archive import statistics, writes
from bench.archive.answer import Answer
from bench.archive.fill import fill
from bench.archive.questions import answers
from bridge.history.history import open_history
from bridge.stats.store import SqlStatistics

BOUND_MS = 200
EPILOG = """\
Fills an empty database with seven days of made-up deliveries, then asks for pages of them in every way that the
API knows, four pages each, five times, and for statistics of up to a month. Among them are a hook that has failed for days, one with twenty deliveries,
types of events that are rare, or all of one hour, or that no hook asks for.

examples:
  ./dev bench history                              one million deliveries in a SQLite file that is removed again
  ./dev bench history --deliveries 5000000 --file big.db    keeps the file; a file that is there is asked, not filled
  ./dev bench history --url postgresql://me:secret@127.0.0.1/scratch
  ./dev bench history --writes                     CPU per delivery that is written, in microseconds

exit codes: 0 every page came within 200 ms, 1 one did not, 2 a wrong command
"""


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    chosen = _parse(arguments)
    with tempfile.TemporaryDirectory() as folder:
        url = chosen.url or f"sqlite:///{(chosen.file or Path(folder, 'history.db')).absolute()}"
        if chosen.writes:
            asyncio.run(writes.measure_all(url))
            return 0
        found = asyncio.run(_measure(url, chosen.deliveries, Console(stderr=True)))
    if chosen.json:
        print(json.dumps([asdict(answer) for answer in found], indent=2))
    else:
        _show(found, chosen.all)
    return 0 if all(answer.worst_ms < BOUND_MS for answer in found) else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./dev bench history",
        description="Measure how fast a large history answers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--deliveries", type=int, default=1_000_000, help="how many to make (default 1,000,000)"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", help="an empty PostgreSQL database, or one that this command has filled")
    where.add_argument("--file", type=Path, help="a SQLite file, kept")
    parser.add_argument("--writes", action="store_true", help="measure what writing costs instead")
    parser.add_argument("--all", action="store_true", help="show every list, not only the 25 slowest")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args(arguments)


async def _measure(url: str, deliveries: int, console: Console) -> list[Answer]:
    history = await open_history(url)
    try:
        if not await history.counts_by_status():
            await _fill(url, deliveries, console)
        return [*await answers(history), *await statistics.answers(SqlStatistics(history.engine))]
    finally:
        await history.close()


async def _fill(url: str, deliveries: int, console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    began = time.perf_counter()
    with Progress(*columns, console=console, refresh_per_second=2) as progress:
        task = progress.add_task("deliveries", total=deliveries)
        await fill(url, deliveries, lambda done: progress.update(task, completed=done))
    console.print(f"{deliveries:,} deliveries written in {time.perf_counter() - began:.0f} s")


def _show(found: Sequence[Answer], every: bool) -> None:
    table = Table("list", "rows", "first ms", "median ms", "worst ms")
    ordered = sorted(found, key=lambda answer: answer.worst_ms, reverse=True)
    for answer in ordered if every else ordered[:25]:
        rows = f"{answer.items}, goes on" if answer.short else str(answer.items)
        figures = (f"{answer.first_ms:.1f}", f"{answer.usual_ms:.1f}", f"{answer.worst_ms:.1f}")
        table.add_row(answer.title, rows, *figures)
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)
    within = sum(answer.worst_ms < BOUND_MS for answer in found)
    print(
        f"{within} of {len(found)} lists came within {BOUND_MS} ms; {sum(a.short for a in found)} began short"
    )
