"""What all tests share."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from devtools.checks.session import MARKER, RABBITMQ_4_VARIABLE

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


# What the bridge does not find out in these containers (4.0.5). Their virtual host has the default queue type classic, so that a
# declaration without a type is refused for the type, in words that name no argument; a private node of the same release has none.
_NOT_ON_RABBITMQ_4 = {
    "test_type_and_arguments_of_a_queue_are_found_out_and_no_message_is_touched[*-quorum]": "a default queue type hides the arguments",
    "test_type_and_arguments_of_a_queue_are_found_out_and_no_message_is_touched[*-stream]": "a default queue type hides the arguments",
    "test_a_missing_source_is_made_as_its_publishers_make_it[name5]": "a passive declare of it ends the connection (541)",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `./dev test --containers` runs: what talks to a broker or a database."""
    newer = _NOT_ON_RABBITMQ_4 if RABBITMQ_4_VARIABLE in os.environ else {}
    folders = [Path(__file__).parent / name for name in _IN_CONTAINERS]
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in folders):
            item.add_marker(MARKER)
        for name, reason in newer.items():
            first, _, last = name.partition("*")
            if item.name.startswith(first) and item.name.endswith(last):
                item.add_marker(pytest.mark.xfail(strict=True, reason=f"RabbitMQ 4: {reason}"))
