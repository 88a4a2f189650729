"""Everything at random and at once, in short; `./dev soak` is the long one, on a cluster."""

import logging
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.project import ROOT
from devtools.rabbitmq import RabbitMQNode
from tests.fault.schedule.run import Plan, Run
from tests.fault.schedule.stage import open_stage

# CI tries the same faults each time, so that it fails for what was changed; everybody else looks for new ones.
SEED = 5 if "CI" in os.environ else secrets.randbelow(1_000_000)
EVENTS = 500

# A killed node of RabbitMQ takes its time to start where the processors are shared with other tests.
pytestmark = pytest.mark.timeout(180)


async def test_random_faults_lose_nothing_and_all_sums_agree(
    node: RabbitMQNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    # The publisher's library reports at length, again and again, that a killed broker is not there.
    caplog.set_level(logging.CRITICAL + 1, logger="aiormq")
    async with open_stage([node], tmp_path, seed=SEED, hooks=3) as stage:
        report = await Run(stage, Plan(SEED, EVENTS, seconds=12), print).whole()
        await stage.tidy()
    assert report.passed, f"\n{report}"
    assert sum(report.faults.values()) >= 3, f"\n{report}"
    steady, flaky, picky = report.balance.hooks
    assert steady.events == flaky.events == {"delivered": EVENTS}
    assert picky.events == {"delivered": EVENTS - EVENTS // 100, "failed": EVENTS // 100}
    assert report.memory_mb > 10


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "devtools", "soak", *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def test_the_command_tells_what_it_does_and_refuses_what_it_cannot():
    told = soak("--help")
    assert told.returncode == 0
    assert "kill -9" in told.stdout
    assert "exit codes: 0 all sums agree" in told.stdout
    refused = soak("--nodes", "2")
    assert refused.returncode == 2
    assert "use 1, 3 or more" in refused.stderr
