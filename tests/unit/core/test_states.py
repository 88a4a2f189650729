"""The state diagrams of docs/architecture.md show the transitions that the code makes, all of them and no other."""

import itertools
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import (
    FINAL,
    Delivered,
    Delivery,
    FailedForGood,
    Parked,
    RetryLater,
    Skipped,
    Status,
    status_after,
)
from bridge.core.delivery import TRANSITIONS as DELIVERY
from bridge.core.event import Event, Message
from bridge.core.guards import TRANSITIONS as POISON
from bridge.core.guards import Finding, Stage

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"
ARROW = re.compile(r"^ *(\w+) --> (\w+): (.+)$", re.MULTILINE)
OUTCOMES = (Delivered(), RetryLater(1.0, "r"), FailedForGood("r"), Parked("r"), Skipped("r"))


def shown(heading: str) -> set[tuple[str, str, str]]:
    """The arrows of the diagram below this heading, with what they say."""
    section = ARCHITECTURE.read_text().partition(heading)[2].partition("\n## ")[0]
    diagram = section.partition("```mermaid")[2].partition("```")[0]
    return {(found[1], found[2], found[3]) for found in ARROW.finditer(diagram)}


def made(transitions: Mapping[tuple[Any, Any], Any]) -> set[tuple[str, str, str]]:
    return {
        (before.value, after.value, why.value if isinstance(why, Enum) else why.__name__)
        for (before, why), after in transitions.items()
    }


@pytest.mark.parametrize(
    ("heading", "transitions"),
    [("## States of a delivery", DELIVERY), ("### States of a poison message", POISON)],
)
def test_the_diagram_shows_the_transitions_of_the_code(heading, transitions):
    assert shown(heading) == made(transitions)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
@pytest.mark.parametrize("error", ["", "it failed"])
def test_every_outcome_takes_a_delivery_that_is_not_final_to_a_status(outcome, error):
    event = Event("e", "s", "t", "json", 1.0, Message(b"{}"))
    delivery = Delivery("d", event, "crm", attempt=2, error=error)
    before = Status.RETRYING if error else Status.PENDING
    assert status_after(outcome, delivery) is DELIVERY[before, type(outcome)]
    assert before not in FINAL


def test_every_end_of_a_redelivered_message_has_a_next_stage():
    begun = (Stage.IN_COMPANY, Stage.ALONE, Stage.QUARANTINED)
    assert set(itertools.product(begun, (Finding.DONE, Finding.NOT_DONE))) < POISON.keys()
    assert {finding for stage, finding in POISON if stage is Stage.ARRIVED} == {
        Finding.NO_DEATH,
        Finding.DEATH,
        Finding.CONVICTED,
    }
