"""A pytest plugin that lists the other checks' results at the end of pytest's own summary.

Printed there and not after it, because whoever reads a CI log looks for pytest's closing line last.
"""

import os

import pytest

VARIABLE = "BRIDGE_TEST_STEPS"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Writes the section "other checks"."""
    if steps := os.environ.get(VARIABLE):
        terminalreporter.section("other checks")
        terminalreporter.write_line(steps)
