"""A scenario measured: several rounds, each case in turn, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from bench.measuring.figures import Figures, medians
from bench.measuring.run import Progress, Run
from bench.measuring.stage import Stage
from bench.scenarios.scenario import Case, Claim, Scenario
from bench.subjects.subject import RunFailed

Tell = Callable[[str, int, str, int], None]
"""Told which run it is, how many are done, what is being done, and how many deliveries have arrived."""


@dataclass
class Result:
    """A scenario's runs by the label of their case, and why others failed."""

    scenario: Scenario
    rows: dict[str, list[Figures]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def medians(self) -> dict[str, Figures]:
        """One line for each case that was measured."""
        return {label: medians(runs) for label, runs in self.rows.items()}

    def claims(self) -> list[Claim]:
        return self.scenario.claims(self.rows)


@dataclass(frozen=True)
class Turn:
    """A case and the round in which it is measured."""

    case: Case
    round: int


def schedule(cases: Sequence[Case], rounds: int) -> list[Turn]:
    """Every round in the reverse order of the one before: whoever comes first has no lasting advantage."""
    turns: list[Turn] = []
    for number in range(rounds):
        present = [case for case in cases if number == 0 or not case.once]
        turns += [Turn(case, number) for case in (reversed(present) if number % 2 else present)]
    return turns


async def measure(stage: Stage, scenario: Scenario, rounds: int, tell: Tell) -> Result:
    """All runs of a scenario; a case that fails once is not tried again."""
    result = Result(scenario, rows={case.label: [] for case in scenario.cases})
    for done, turn in enumerate(schedule(scenario.cases, rounds)):
        label = turn.case.label
        if label in result.failures:
            continue
        where = f"{scenario.name}, round {turn.round + 1}, {label}"
        try:
            result.rows[label].append(
                await measure_case(stage, scenario, turn.case, partial(tell, where, done))
            )
        except RunFailed as error:
            result.failures[label] = str(error)
    return result


async def measure_case(stage: Stage, scenario: Scenario, case: Case, progress: Progress) -> Figures:
    """One run."""
    progress("starting", 0)
    return await Run(
        stage, case.subject, scenario.sink(stage), case.load, case.concurrency, progress
    ).measure()
