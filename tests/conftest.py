"""What all tests share."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from devtools.checks.session import MARKER

pytest_plugins = [
    "tests.support.broker",
    "tests.support.postgres",
    "tests.support.reader",
    "tests.support.scene",
]

# Every test is under a time limit already. How long one example takes says more about the machine than about us.
# CI tries the same examples each time, so that it fails for what was changed; everybody else looks for new ones.
_ANY_MACHINE = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.register_profile("fast", _ANY_MACHINE, max_examples=25, stateful_step_count=25)
settings.register_profile("thorough", _ANY_MACHINE, max_examples=500)
settings.load_profile(os.environ.get("TEST_PROFILE", "fast"))

_IN_CONTAINERS = (
    "containers",
    "contract",
    "integration/amqp",
    "integration/db",
    "integration/pipeline",
    "integration/replicas",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `./dev test --containers` runs: what talks to a broker or a database."""
    folders = [Path(__file__).parent / name for name in _IN_CONTAINERS]
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in folders):
            item.add_marker(MARKER)


def pytest_collection_finish() -> None:
    """Leaves what was imported and collected out of garbage collections: it stays to the end."""
    gc.freeze()
