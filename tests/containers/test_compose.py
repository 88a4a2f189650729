"""`docker compose up` of the file in the root of the project, with stand-ins for the images of others."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml

from devtools.containers.engine import Engine
from devtools.project import ROOT
from tests.support.bridge_container import until
from tests.support.composing import Project, asked, up

FILE = ROOT / "docker-compose.yml"
PROMETHEUS = "http://127.0.0.1:9090"
GRAFANA = ROOT / "deploy" / "grafana" / "provisioning"


def delivered(project: Project) -> set[str]:
    """What the receiver verified or answered, as scheme and path."""
    return {" ".join(line.split()[:3]) for line in project.logs("receiver").splitlines()}


def measured(query: str) -> list[Any]:
    """What Prometheus answers."""
    return list(asked(f"{PROMETHEUS}/api/v1/query?query={quote(query)}")["data"]["result"])


def move_to_postgresql(project: Project) -> None:
    """The same with the other profile: the bridge is made anew, and what it does is recorded there."""
    other = replace(project, variables={"HISTORY": "postgres"})
    other.compose(
        "--profile", "postgres", "up", "--detach", "--wait", "--force-recreate", "bridge", "postgres"
    )
    ask = ("psql", "--host=127.0.0.1", "--username=bridge", "--tuples-only", "--command")
    counted = (
        "env",
        "PGPASSWORD=quickstart",
        *ask,
        "select count(*) from deliveries where status = 'SUCCESS'",
    )
    until(lambda: int(other.inside("postgres", *counted)) > 3, 60, lambda: other.logs("bridge")[-2000:])


def test_sample_events_are_delivered_measured_and_watched_with_no_further_step(engine: Engine, image: str):
    services = ("rabbitmq", "bridge", "receiver", "publisher", "prometheus", "alertmanager")
    with up(engine, FILE, "whole", *services) as project:
        wanted = {
            "verified standard /crm",
            "verified splynx /portal",
            "answered 503 on",
            "verified standard /shaky",
        }
        until(
            lambda: wanted <= delivered(project),
            60,
            lambda: f"{delivered(project)} {project.logs('bridge')[-2000:]}",
        )
        scraped = 'sum(bridge_deliveries_total{job="amqp-bridge"}) > 0 and on() up{job="amqp-bridge"} == 1'
        until(lambda: measured(scraped), 60, lambda: str(asked(f"{PROMETHEUS}/api/v1/targets")))
        rules = asked(f"{PROMETHEUS}/api/v1/rules")["data"]["groups"]
        assert [each for group in rules for each in group["rules"]]
        watching = f"{PROMETHEUS}/api/v1/alertmanagers"
        until(lambda: asked(watching)["data"]["activeAlertmanagers"], 30, lambda: str(asked(watching)))
        with urlopen("http://127.0.0.1:9093/-/ready", timeout=10) as answer:
            assert answer.status == 200
        assert project.inside("bridge", "amqp-bridge", "health").startswith("ready: ")
        move_to_postgresql(project)
        bridge = project.compose("ps", "--quiet", "bridge").strip()
        engine.docker("stop", "--time=45", bridge)
        assert json.loads(engine.docker("inspect", bridge))[0]["State"]["ExitCode"] == 0


def test_every_secret_is_a_file_and_every_service_is_bounded():
    told = yaml.safe_load(FILE.read_text())
    for name, service in told["services"].items():
        assert service["deploy"]["resources"]["limits"].keys() >= {"memory", "cpus"}, name
        for variable, text in (service.get("environment") or {}).items():
            assert "quickstart" not in text or variable == "COPY_QUEUE", (name, variable)
        assert set(map(_source, service.get("secrets", []))) <= set(told["secrets"]), name
    for secret in told["secrets"].values():
        assert (ROOT / secret["file"].replace("${HISTORY:-sqlite}", "sqlite")).is_file()


def _source(secret: str | dict[str, str]) -> str:
    return secret if isinstance(secret, str) else secret["source"]


def test_grafana_finds_its_data_source_and_dashboards_where_the_file_mounts_them():
    told = yaml.safe_load(FILE.read_text())["services"]["grafana"]
    mounts = dict(volume.split(":")[:2] for volume in told["volumes"])
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    (provider,) = yaml.safe_load((GRAFANA / "dashboards" / "amqp-bridge.yml").read_text())["providers"]
    assert provider["options"]["path"] == mounts["./deploy/grafana/dashboards"]
    (source,) = yaml.safe_load((GRAFANA / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    boards = [
        json.loads(file.read_text()) for file in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    ]
    assert len({board["uid"] for board in boards}) == len(boards) > 0


def test_grafana_shows_the_dashboards(engine: Engine):
    if not engine.docker("images", "--quiet", "grafana/grafana"):
        pytest.skip("the image of Grafana is in a registry alone: no archive of packages has it")
    with up(engine, FILE, "shown", "grafana", "prometheus", "bridge", "rabbitmq", "receiver"):
        found = asked("http://admin:quickstart@127.0.0.1:3000/api/search?type=dash-db")
        assert len(found) == len(list((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")))
