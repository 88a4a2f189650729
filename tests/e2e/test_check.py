"""`amqp-bridge check` as an operator uses it."""

import json
from pathlib import Path

import pytest

from tests.support.command import amqp_bridge

GOOD = """
broker: {url: "amqp://guest:guest@127.0.0.1:1/"}
sources: [{name: splynx, queue: hooks2, format: splynx}]
hooks:
  - name: crm
    sources: [splynx]
    events: ["customers.*"]
    filter: 'event.data.result == "success"'
    target: {type: webhook, url: "https://crm.example.net/in", profile: splynx, secrets: ["${CRM_SECRET}"]}
  - name: script
    target: {type: script, command: [./notify.sh]}
"""
BAD = """
sources: [{name: a, queue: q}]
hooks:
  - name: crm
    events: ["a.*b"]
    filter: event.dat.x == 1
    target: {type: webhook, url: "ftp://x"}
  - name: script
    target: {type: script, command: [./nope.sh]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bridge.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text(BAD)
    script = tmp_path / "notify.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return tmp_path


SECRET = {"CRM_SECRET": "s3cret"}


def test_a_good_file_is_ok_without_any_broker(folder: Path):
    ended = amqp_bridge("check", "-c", "bridge.yaml", cwd=folder, env=SECRET)
    assert (ended.code, ended.out, ended.err) == (0, "bridge.yaml: OK (1 source, 2 hooks)\n", "")


def test_what_is_hardly_meant_is_a_warning_and_no_problem(folder: Path):
    target = '{type: webhook, url: "http://10.0.0.5/in"}'
    (folder / "bridge.yaml").write_text(f"hooks:\n  - name: crm\n    target: {target}\n")
    ended = amqp_bridge("check", cwd=folder)
    assert (ended.code, ended.out) == (0, "bridge.yaml: OK (0 sources, 1 hook)\n")
    assert ended.err.startswith("warning: bridge.yaml:3: hooks[0].target.url: 10.0.0.5 is private")


def test_traces_without_the_packages_that_export_them_are_a_problem_that_names_the_extra(folder: Path):
    api_alone = folder / "packages" / "opentelemetry"
    api_alone.mkdir(parents=True)
    (api_alone / "__init__.py").touch()
    root = Path(__file__).parents[2]
    env = {**SECRET, "PYTHONPATH": f"{api_alone.parent}:{root}"}
    ended = amqp_bridge("check", cwd=folder, env=env, from_nothing=True)
    assert (ended.code, ended.err) == (0, ""), "off by default, it needs nothing"
    (folder / "bridge.yaml").write_text(f"{GOOD}telemetry:\n  traces:\n    enabled: true\n")
    ended = amqp_bridge("run", cwd=folder, env=env, from_nothing=True)
    assert ended.code == 2
    assert (
        "bridge.yaml:14: telemetry.traces.enabled: traces need packages that are not installed: "
        "pip install 'amqp-bridge[otel]'"
    ) in ended.err


def test_without_c_the_file_in_this_folder_is_taken(folder: Path):
    assert amqp_bridge("check", cwd=folder, env=SECRET).out == "bridge.yaml: OK (1 source, 2 hooks)\n"


def test_relative_paths_start_at_the_file_wherever_the_command_runs(folder: Path):
    ended = amqp_bridge("check", "-c", str(folder / "bridge.yaml"), cwd=Path("/"), env=SECRET)
    assert ended.code == 0


def test_a_secret_that_is_not_set_is_named(folder: Path):
    ended = amqp_bridge("check", "-c", "bridge.yaml", cwd=folder)
    message = "hooks[0].target.secrets[0]: environment variable CRM_SECRET is not set"
    assert (ended.code, ended.out, ended.err) == (2, "", f"error: bridge.yaml:9: {message}\n")


def test_every_problem_is_one_line_with_its_place(folder: Path):
    ended = amqp_bridge("check", "-c", "bad.yaml", cwd=folder)
    assert ended.code == 2
    assert ended.out == ""
    starts = [
        "error: bad.yaml:5: hooks[0].events[0]: ",
        "error: bad.yaml:6: hooks[0].filter: ",
        "error: bad.yaml:7: hooks[0].target.url: ",
        "error: bad.yaml:9: hooks[1].target.command: ",
    ]
    lines = ended.err.splitlines()
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


def test_problems_as_json_are_for_programs(folder: Path):
    ended = amqp_bridge("check", "-c", "bad.yaml", "--json", cwd=folder)
    assert (ended.code, ended.err) == (2, "")
    result = json.loads(ended.out)
    assert result["ok"] is False
    assert result["problems"][0]["where"] == "bad.yaml"
    assert result["problems"][0]["line"] == 5
    assert result["problems"][0]["path"] == "hooks[0].events[0]"


def test_a_good_file_as_json(folder: Path):
    ended = amqp_bridge("check", "--json", cwd=folder, env=SECRET)
    totals = {"sources": 1, "hooks": 2, "inlets": 0}
    assert json.loads(ended.out) == {"ok": True, "problems": [], "warnings": [], **totals}


def test_a_configuration_may_stand_in_the_environment_alone(tmp_path: Path):
    env = {"BRIDGE_SOURCES": '[{"name": "a", "queue": "q"}]'}
    ended = amqp_bridge("check", cwd=tmp_path, env=env)
    assert (ended.code, ended.out) == (0, "the environment: OK (1 source, 0 hooks)\n")


def test_without_any_configuration_it_says_what_to_do(tmp_path: Path):
    ended = amqp_bridge("check", cwd=tmp_path)
    message = "no configuration: there is no bridge.yaml in this folder; give one with -c FILE"
    assert (ended.code, ended.err) == (2, f"error: {message}\n")


def test_certificates_that_cannot_be_used_are_named(tmp_path: Path):
    (tmp_path / "bridge.yaml").write_text("broker: {tls: {ca: /dev/null, cert: /nowhere.pem}}")
    ended = amqp_bridge("check", cwd=tmp_path)
    assert ended.code == 2
    assert "broker.tls.ca: no usable PEM in /dev/null" in ended.err
    assert "broker.tls.cert: /nowhere.pem cannot be read: No such file or directory" in ended.err


def test_time_zones_are_known_where_the_system_has_no_database_of_them(folder: Path):
    (folder / "bridge.yaml").write_text("sources: [{name: a, queue: q, timezone: Europe/Prague}]\n")
    ended = amqp_bridge("check", cwd=folder, env={"PYTHONTZPATH": ""}, from_nothing=True)
    assert (ended.code, ended.out) == (0, "bridge.yaml: OK (1 source, 0 hooks)\n")
