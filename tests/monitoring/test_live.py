"""Dashboards and alerts on bridges that run: each panel has data, each cause raises its alert, and health raises none."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from math import isnan
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devtools.project import ROOT
from tests.monitoring.stage import HEALTHY, Stage, open_stage
from tests.support.operating import operating
from tests.support.prometheus import JOB, alerts
from tests.support.waiting import until

pytestmark = [pytest.mark.timeout(150), pytest.mark.asyncio(loop_scope="module")]

DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
VARIABLES = {
    "$__rate_interval": "6s",
    "$__range": "60s",
    "$__interval_ms": "3600000",
    "$job": JOB,
    "$hook": "final",
}
"""What Grafana puts in the place of its variables."""
OF_A_RUNNING_BRIDGE = {
    "BridgeBreakerOpen",
    "BridgeCopiesGone",
    "BridgeCredentialsEnding",
    "BridgeDeliveriesLateFast",
    "BridgeDeliveriesLateSlow",
    "BridgeHookFailing",
    "BridgeHookPaused",
    "BridgeLaneGrowing",
    "BridgeOldestWaiting",
    "BridgeOrphans",
    "BridgeQuarantine",
    "BridgeSourceBacklogGrowing",
    "BridgeSourceContractDrift",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(amqp_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Two bridges, one of which is well, and what watches them."""
    async with open_stage(amqp_url, tmp_path_factory.mktemp("monitoring")) as opened:
        yield opened


def queries(path: Path) -> Iterator[tuple[str, str]]:
    """Where each query of a dashboard stands, and its expression with values for the variables."""
    dashboard = json.loads(path.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", resolved(target["expr"])
    for annotation in dashboard["annotations"]["list"]:
        yield f"annotation {annotation['name']}", resolved(annotation["expr"])


def resolved(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in re.sub(r'"\$1[^"]*"', "", expression), expression
    return expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
async def test_every_query_of_a_dashboard_has_data(stage: Stage, path: Path):
    left = dict(queries(path))
    assert len(left) > 10

    async def look() -> bool:
        for place, expression in list(left.items()):
            found = await stage.prometheus.query(expression)
            if any(not isnan(float(each["value"][1])) for each in found):
                del left[place]
        return not left

    await until(look, 60, what=lambda: f"no data for {left}", every=1)


async def test_each_trouble_of_a_running_bridge_raises_its_alert(stage: Stage):
    await until(lambda: all_fired(stage, OF_A_RUNNING_BRIDGE), 60, what="see below", every=0.5)


async def all_fired(stage: Stage, wanted: set[str]) -> bool:
    left = wanted - await stage.prometheus.has_fired(JOB)
    print("not fired:", left)  # noqa: T201 - pytest shows it after a failure
    return not left


async def test_a_bridge_that_is_well_and_busy_raises_none(stage: Stage):
    busy = f'sum(increase(bridge_deliveries_total{{job="{HEALTHY}", status="SUCCESS"}}[20s])) > 500'
    await until(lambda: stage.prometheus.query(busy), 60, what="the load", every=0.5)
    assert await stage.prometheus.has_fired(HEALTHY) == set()


async def test_an_exemplar_of_a_histogram_leads_to_its_delivery(stage: Stage):
    async def look() -> Any:
        found = await stage.prometheus.ask(
            "query_exemplars",
            query=f'bridge_attempt_duration_seconds_bucket{{hook="good", job="{JOB}"}}',
            start="0",
            end="9999999999",
        )
        return [each["labels"]["delivery_id"] for series in found for each in series["exemplars"]]

    [delivery, *_] = await until(look, 30, what="exemplars")
    async with operating(stage.bridge) as operator:
        found = await operator.get(f"/deliveries/{delivery}")
    assert (found["hook"], found["status"]) == ("good", "SUCCESS")


async def test_an_alert_is_posted_with_its_runbook(stage: Stage):
    def told() -> dict[str, str]:
        posted = (alert for body in stage.scene.endpoint.bodies(stage.alerts) for alert in json.loads(body))
        return {alert["labels"]["alertname"]: alert["annotations"]["runbook"] for alert in posted}

    await until(lambda: "BridgeHookPaused" in told(), 60, what="Prometheus posts alerts")
    known = {rule["alert"]: rule["annotations"]["runbook"] for rule in alerts().values()}
    assert told().items() <= known.items()
