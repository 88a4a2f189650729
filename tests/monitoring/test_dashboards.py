"""What stands in the dashboards and in the files that provision them, without a bridge."""

import json
import re
from typing import Any

import pytest
import yaml

from bridge.telemetry.catalogue import CATALOGUE, Kind
from devtools.project import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARDS = {
    path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
SHOWN_BY_NONE = {"bridge_dedupe_without_key_total", "bridge_control_forged_total"}
"""Counters for a person who looks for a certain cause."""


def targets(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [target for panel in dashboard["panels"] for target in panel.get("targets", ())]


def test_all_four_dashboards_are_there():
    assert set(DASHBOARDS) == {"overview", "hook", "broker", "capacity"}
    uids = [dashboard["uid"] for dashboard in DASHBOARDS.values()]
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_panel_has_its_own_id_and_place_and_asks_the_chosen_data_source(name: str):
    panels = DASHBOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [tuple(panel["gridPos"][edge] for edge in "xy") for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    sources = {target["datasource"]["uid"] for target in targets(DASHBOARDS[name])}
    assert sources == {"${datasource}"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_links_to_the_bridge_begin_with_the_variable(name: str):
    variables = {each["name"] for each in DASHBOARDS[name]["templating"]["list"]}
    assert {"datasource", "job", "bridge"} <= variables
    links = re.findall(r'"url": "([^"]+)"', json.dumps(DASHBOARDS[name]))
    assert links
    assert all(link.startswith("${bridge}/ui/") for link in links)


def test_every_metric_of_the_bridge_is_shown_somewhere():
    text = json.dumps(DASHBOARDS)
    asked = {re.sub(r"_(bucket|sum|count)$", "", found) for found in re.findall(r"bridge_\w+", text)}
    histograms = {spec.name for spec in CATALOGUE if spec.kind is Kind.HISTOGRAM}
    known = {spec.name for spec in CATALOGUE}
    assert asked <= known
    assert known - asked == SHOWN_BY_NONE | {"bridge_hook_info"}
    assert histograms <= asked


def test_latencies_show_exemplars():
    with_exemplars = {
        target["expr"]
        for dashboard in DASHBOARDS.values()
        for target in targets(dashboard)
        if target.get("exemplar")
    }
    assert any("bridge_event_age_seconds_bucket" in expr for expr in with_exemplars)
    assert any("bridge_attempt_duration_seconds_bucket" in expr for expr in with_exemplars)


def test_grafana_finds_the_data_source_and_the_dashboards():
    provisioning = GRAFANA / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    [provider] = yaml.safe_load((provisioning / "dashboards" / "amqp-bridge.yml").read_text())["providers"]
    assert (source["type"], source["uid"]) == ("prometheus", "prometheus")
    [destination] = source["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] == "delivery_id"
    assert destination["url"].endswith("/ui/deliveries/$${__value.raw}")
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
