"""The rules of deploy/prometheus, by promtool: without a bridge."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bridge.cli.main import app
from bridge.telemetry.catalogue import CATALOGUE, Kind
from devtools.project import ROOT
from tests.support.prometheus import RULES, alerts, amtool, promtool

TESTS = RULES.parent / "tests"
RUNBOOKS = ROOT / "docs" / "runbooks"
MONITORING = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
ALERTS = alerts()
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
NOT_OURS = {"rabbitmqctl", "rabbitmq-diagnostics", "curl", "openssl", "py-spy"}
SERIES = {Kind.COUNTER: ("",), Kind.GAUGE: ("",), Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
KNOWN = {spec.name + ending for spec in CATALOGUE for ending in SERIES[spec.kind]}
"""The names of all series that the bridge exports."""


def test_promtool_finds_nothing_in_the_rules():
    promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted(RULES.glob("*.yml")))


def test_the_examples_of_configurations_are_taken():
    promtool("check", "config", RULES.parent / "prometheus.yml")
    amtool("check-config", RULES.parent / "alertmanager.yml")


def test_inhibitions_name_alerts_that_there_are():
    text = (RULES.parent / "alertmanager.yml").read_text()
    named = set(re.findall(r"Bridge\w+", text))
    assert named
    assert named <= {rule["alert"] for rule in ALERTS.values()}


def test_each_alert_fires_within_two_minutes_of_its_cause_and_is_silent_in_a_healthy_hour():
    promtool("test", "rules", *sorted(TESTS.glob("*.test.yml")))


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_has_a_test_that_looks_at_a_healthy_hour_first(name: str):
    [test] = yaml.safe_load((TESTS / f"{name}.test.yml").read_text())["tests"]
    [wanted] = test["alert_rule_test"]
    silent = test["promql_expr_test"][0]
    assert wanted["alertname"] == ALERTS[name]["alert"]
    assert wanted["exp_alerts"]
    assert f'alertname="{wanted["alertname"]}", alertstate="firing"' in silent["expr"]
    assert silent["exp_samples"] == []
    if not name.startswith("slo-"):  # whose windows are longer
        assert (silent["eval_time"], wanted["eval_time"]) == ("59m45s", "62m")


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_stands_alone_in_its_file_with_all_that_an_operator_needs(name: str):
    file = yaml.safe_load((RULES / f"{name}.yml").read_text())
    [group] = file["groups"]
    [rule] = group["rules"]
    assert list(file) == ["groups"]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8").startswith(f"# {rule['alert']}\n")
    assert f"| [`{rule['alert']}`](runbooks/{name}.md) | {rule['labels']['severity']} |" in MONITORING


def test_no_test_and_no_runbook_is_left_of_an_alert_that_is_gone():
    assert {path.name.removesuffix(".test.yml") for path in TESTS.iterdir()} == set(ALERTS)
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(ALERTS)


def test_every_series_in_a_rule_is_exported_by_the_bridge():
    named: set[str] = set()
    for path in RULES.glob("*.yml"):
        for rule in (rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]):
            named |= set(re.findall(r"(?<![:\w])bridge_\w+", rule["expr"]))
    assert named
    assert named <= KNOWN


def commands(path: Path) -> Iterator[list[str]]:
    for block in BLOCK.findall(path.read_text(encoding="utf-8")):
        for line in filter(None, map(str.strip, block.splitlines())):
            yield shlex.split(line)


def parse(words: list[str]) -> None:
    """Parses a command line as the program does, up to the call of the command."""
    command: Any = typer.main.get_command(app)
    name, rest = words[0], words[1:]
    context = None
    while True:
        context = command.make_context(name, rest, parent=context)
        left = [*getattr(context, "_protected_args", ()), *context.args]
        if not hasattr(command, "resolve_command") or not left:
            return
        name, command, rest = command.resolve_command(context, left)


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_every_command_in_a_runbook_is_one_that_the_program_takes(path: Path):
    lines = list(commands(path))
    ours = [words for words in lines if words[0] == "amqp-bridge"]
    assert ours or path.stem == "orphans"
    assert {words[0] for words in lines} <= {"amqp-bridge", *NOT_OURS}
    for words in ours:
        parse(words)


@pytest.mark.parametrize(
    "line", ["amqp-bridge hooks shew crm", "amqp-bridge hooks show crm --wrong", "amqp-bridge sources x"]
)
def test_a_command_that_the_program_does_not_take_would_be_seen(line: str):
    with pytest.raises(Exception, match=r"No such|unexpected"):
        parse(shlex.split(line))
