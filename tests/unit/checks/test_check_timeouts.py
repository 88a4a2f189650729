"""Timeouts that do not fit together are refused before anything starts: the broker would hand out again what is under way."""

from pathlib import Path
from typing import Any

import pytest

from bridge.checks.configuration import check
from bridge.settings.tree import Settings

TARGETS: dict[str, dict[str, Any]] = {
    "webhook": {"type": "webhook", "url": "https://example.net/in"},
    "script": {"type": "script", "command": ["/bin/true"]},
    "queue": {"type": "queue", "queue": "archive"},
    "notify": {"type": "notify", "urls": ["json://example.net"]},
}


def said(target: dict[str, Any], consumer_timeout: str) -> list[str]:
    settings = Settings.model_validate(
        {
            "broker": {"consumer_timeout": consumer_timeout},
            "hooks": [{"name": "fits", "target": TARGETS["queue"]}, {"name": "crm", "target": target}],
        }
    )
    return [f"{problem.path}: {problem.message}" for problem in check(settings, Path("/"))]


@pytest.mark.parametrize("kind", TARGETS)
def test_an_attempt_that_may_take_over_half_of_the_brokers_patience_is_refused_with_its_path(kind: str):
    (problem,) = said(TARGETS[kind] | {"timeout": "31s"}, "1m")
    assert problem.startswith("hooks[1].target.timeout: 31 s is over half of broker.consumer_timeout (60 s)")


@pytest.mark.parametrize("kind", TARGETS)
def test_up_to_half_of_it_is_not(kind: str):
    assert said(TARGETS[kind] | {"timeout": "30s"}, "1m") == []


def test_a_long_script_is_possible_where_the_broker_is_as_patient():
    assert len(said(TARGETS["script"] | {"timeout": "2h"}, "30m")) == 1
    assert said(TARGETS["script"] | {"timeout": "2h"}, "5h") == []
