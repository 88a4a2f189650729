"""Every piece once, from end to end, with a few hundred events. Nothing is said about how long it takes."""

import io
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from rich.console import Console

from bench import backlog
from bench.load import Load
from bench.measuring.figures import Figures, medians
from bench.measuring.session import Result, measure, schedule
from bench.measuring.stage import Stage, open_bench_broker, open_stage
from bench.report import Machine, as_data, show
from bench.scenarios.cost import cost
from bench.scenarios.fanout import fanout
from bench.scenarios.hang import hang
from bench.scenarios.latency import latency
from bench.scenarios.queue import queue
from bench.scenarios.scenario import Case, Options, Scenario, bounded, ratio
from bench.scenarios.scripts import scripts
from bench.subjects.programs import HANDWRITTEN
from bench.subjects.subject import Program
from devtools.choice.broker import Broker

OPTIONS = Options(rounds=1, share=0.01)
END_TO_END = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def bench_broker() -> Iterator[Broker]:
    with open_bench_broker() as broker:
        yield broker


@pytest.fixture
async def stage(bench_broker: Broker) -> AsyncIterator[Stage]:
    async with open_stage(bench_broker) as opened:
        yield opened


def silent(run: str, done: int, what: str, count: int) -> None:
    del run, done, what, count


async def measured(stage: Stage, scenario: Scenario, *labels: str) -> Result:
    cases = tuple(case for case in scenario.cases if case.label in labels)
    result = await measure(stage, replace(scenario, cases=cases), 1, silent)
    assert result.failures == {}
    assert set(result.rows) == set(labels)
    return result


@END_TO_END
async def test_webhooks_are_measured_from_end_to_end(stage: Stage) -> None:
    result = await measured(stage, cost(OPTIONS), "hand-written", "bridge", "bridge, SQL counted")
    by_label = result.medians()
    assert all(figures.connections is not None and figures.repeated == 0 for figures in by_label.values())
    assert by_label["bridge"].own_connections == by_label["bridge"].connections
    assert by_label["bridge"].statements is None
    assert (by_label["bridge, SQL counted"].statements or 0) > 0
    assert any(claim.text.startswith("SQL statements") for claim in result.claims())


@END_TO_END
async def test_paced_and_hanging_and_fanned_out_loads_are_measured(stage: Stage) -> None:
    await measured(stage, latency(OPTIONS), "hand-written, uvloop")
    await measured(stage, fanout(OPTIONS), "hand-written")
    await measured(stage, hang(OPTIONS), "bridge, 64 at once, some hang")


@END_TO_END
async def test_queue_to_queue_is_measured(stage: Stage) -> None:
    scenario = queue(OPTIONS, stage)
    await measured(
        stage, scenario, *{case.label for case in scenario.cases} & {"shovel", "bridge, 200 at once"}
    )


@END_TO_END
async def test_scripts_are_measured(stage: Stage) -> None:
    rivals = {"amqp-consume"} if shutil.which("amqp-consume") else set()
    await measured(stage, scripts(OPTIONS), "bridge", *rivals)


@END_TO_END
async def test_one_that_ends_at_once_is_told_with_what_it_printed(stage: Stage) -> None:
    failing = Program(lambda _: ("/bin/sh", "-c", "echo no such queue; exit 3"))
    scenario = replace(cost(OPTIONS), cases=(Case("failing", failing, Load(events=5, warm=1)),))
    result = await measure(stage, scenario, 1, silent)
    assert "exit code 3" in result.failures["failing"]
    assert "no such queue" in result.failures["failing"]


def a_scenario(rows: dict[str, list[Figures]]) -> Result:
    return Result(replace(cost(OPTIONS), skipped=("a shovel",)), rows=rows)


def test_every_second_round_runs_backwards() -> None:
    load = Load(events=1, warm=1)
    cases = (
        Case("a", HANDWRITTEN, load),
        Case("b", HANDWRITTEN, load),
        Case("c", HANDWRITTEN, load, once=True),
    )
    assert [turn.case.label for turn in schedule(cases, 3)] == ["a", "b", "c", "b", "a", "a", "b"]


def test_a_ratio_is_taken_within_each_round() -> None:
    rows = {
        "x": [Figures(cpu_us=300), Figures(cpu_us=200), Figures(cpu_us=110)],
        "y": [Figures(cpu_us=150), Figures(cpu_us=100), Figures(cpu_us=100)],
    }
    [claim] = ratio(rows, ("x", "cpu_us"), ("y", "cpu_us"), "x to y", at_least=2)
    assert (claim.value, claim.holds) == (2, True)


def test_what_was_not_measured_is_not_claimed() -> None:
    assert bounded({"x": [Figures()]}, "x", "statements", "SQL", 1) == []
    assert ratio({"x": []}, ("x", "rate"), ("y", "rate"), "x to y") == []


def test_medians_leave_out_what_a_run_does_not_know() -> None:
    merged = medians([Figures(rate=1), Figures(rate=3), Figures(rate=8, cpu_us=5)])
    assert (merged.rate, merged.cpu_us, merged.p99_ms) == (3, 5, None)


def test_tables_show_figures_claims_and_what_was_left_out() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    result = a_scenario({"hand-written": [Figures(cpu_us=200)], "bridge": [Figures(cpu_us=400)]})
    result.failures["bridge, SQL counted"] = "it ended with [exit] code 1"
    show(result, console)
    text = console.export_text()
    assert "0.5 (at least 0.8): does not hold" in text
    assert "it ended with [exit] code 1" in text
    assert "skipped: a shovel" in text


def test_data_holds_every_run() -> None:
    data = as_data(Machine.look(), [a_scenario({"bridge": [Figures(cpu_us=1), Figures(cpu_us=3)]})])
    case = data["scenarios"]["cost"]["cases"]["bridge"]
    assert (case["median"]["cpu_us"], [run["cpu_us"] for run in case["runs"]]) == (2, [1, 3])


@END_TO_END
async def test_a_backlog_is_delivered_whole_and_told_in_tenths(
    bench_broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = await backlog.run(bench_broker, 1000)
    assert (outcome.missing, outcome.left_in_queue, outcome.recorded) == (0, 0, 1000)
    assert [part.events for part in outcome.parts] == [100] * 10
    assert all(part.rate > 0 and part.peak_memory_mb > 20 for part in outcome.parts)
    assert outcome.peak_memory_mb < backlog.MOST_MEMORY_MB
    slow = replace(outcome, parts=[*outcome.parts[:-1], replace(outcome.parts[-1], rate=0.1)])
    assert not slow.is_good
    backlog.show(outcome, as_json=False)
    assert "1,000 messages" in capsys.readouterr().out
