"""A pytest plugin that shares out the test files so that the whole suite ends soon.

Each file is run by one process, as its tests share brokers. The files that take longest begin first: one of them alone at
the end would be waited for by all the others.
"""

from collections import OrderedDict
from typing import Any

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_LONGEST_FIRST = (
    "tests/fault/",
    "tests/monitoring/",
    "tests/devtools/",
    "tests/integration/replicas/",
    "tests/integration/actions/",
    "tests/integration/pipeline/",
    "tests/e2e/",
    "tests/bench/",
    "tests/integration/",
)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Called by xdist: its own distribution by files, in an order of ours."""
    scheduling = LoadFileScheduling(config, log)
    scheduling.workqueue = LongestFirst()
    return scheduling


class LongestFirst(OrderedDict[str, dict[str, bool]]):
    """Tests that wait, by file; xdist takes them out at one end, which is wherever the longest are."""

    def popitem(self, last: bool = False) -> tuple[str, Any]:  # noqa: ARG002 - as in the base class
        file = min(self, key=lambda each: (_place(each), -len(self[each])))
        return file, self.pop(file)


def _place(file: str) -> int:
    found = (place for place, folder in enumerate(_LONGEST_FIRST) if file.startswith(folder))
    return next(found, len(_LONGEST_FIRST))
