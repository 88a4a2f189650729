"""A scenario: several cases that are measured in turn, and what is claimed of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.load import Load
from bench.measuring.figures import Figures
from bench.measuring.stage import Stage
from bench.subjects.subject import Subject
from bench.traffic.sinks import Sink


@dataclass(frozen=True)
class Options:
    """How much is measured."""

    rounds: int = 3
    share: float = 1.0
    """Of the events; less than all is too quick to judge by."""
    backlog: bool = False
    install: bool = False

    def some(self, count: int) -> int:
        """The share of that many, at least one."""
        return max(1, round(count * self.share))


@dataclass(frozen=True)
class Case:
    """Who is measured with what; `once` in the first round only."""

    label: str
    subject: Subject
    load: Load
    concurrency: int = 16
    once: bool = False


Rows = Mapping[str, Sequence[Figures]]
"""The runs of each case, by its label; a case that failed has none."""


@dataclass(frozen=True)
class Claim:
    """A figure and its bound; bound None: only told."""

    text: str
    value: float
    bound: float | None = None
    at_least: bool = False

    @property
    def holds(self) -> bool:
        if self.bound is None:
            return True
        return self.value >= self.bound if self.at_least else self.value <= self.bound


Claims = Callable[[Rows], list[Claim]]


@dataclass(frozen=True)
class Scenario:
    """What is measured, and which figures are shown, by their names."""

    name: str
    question: str
    cases: tuple[Case, ...]
    sink: Callable[[Stage], Sink]
    figures: tuple[str, ...]
    claims: Claims
    skipped: tuple[str, ...] = ()
    """What cannot be measured here, and why."""


def bounded(rows: Rows, label: str, name: str, text: str, bound: float) -> list[Claim]:
    """The median of one figure of one case is at most `bound`; no claim where it was not measured."""
    known = [value for value in (getattr(run, name) for run in rows.get(label, ())) if value is not None]
    return [Claim(text, median(known), bound)] if known else []


def ratio(
    rows: Rows, over: tuple[str, str], under: tuple[str, str], text: str, at_least: float | None = None
) -> list[Claim]:
    """One case's figure divided by another's, both told as (label, name): the median over the rounds.

    Within a round, as what disturbs the machine meanwhile disturbs both.
    """
    pairs = zip(rows.get(over[0], ()), rows.get(under[0], ()), strict=False)
    values = [getattr(upper, over[1]) / getattr(lower, under[1]) for upper, lower in pairs]
    return [Claim(text, median(values), at_least, at_least=True)] if values else []
