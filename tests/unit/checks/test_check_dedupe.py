"""What a check says of keys by which publishers' events are told from one another."""

from pathlib import Path

import pytest

from bridge.checks.configuration import check
from bridge.settings.tree import Settings


def problems(by: str) -> list[str]:
    source = {"name": "main", "queue": "q", "dedupe": {"by": by}}
    return [str(problem) for problem in check(Settings.model_validate({"sources": [source]}), Path.cwd())]


@pytest.mark.parametrize("by", ["publisher_id", "event.data.order", 'event.type + "/" + event.data.order'])
def test_an_id_or_an_expression_is_fine(by):
    assert problems(by) == []


@pytest.mark.parametrize(
    ("by", "told"),
    [("publisher", "undeclared"), ("event.orders", "no field event.orders"), ("true", "must give text or a")],
)
def test_what_can_be_no_key_is_told_with_its_place(by, told):
    [problem] = problems(by)

    assert problem.startswith("sources[0].dedupe.by: ")
    assert told in problem
