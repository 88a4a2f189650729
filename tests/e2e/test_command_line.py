"""The command line: help, version, completion, wrong usage."""

import json
from pathlib import Path

import pytest

from bridge import __version__
from tests.support.command import amqp_bridge


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version(tmp_path: Path, arguments: list[str]):
    ended = amqp_bridge(*arguments, cwd=tmp_path, from_nothing=True)
    assert ended.code == 0
    assert ended.out.startswith(f"amqp-bridge {__version__} (Python 3.")


@pytest.mark.parametrize("command", ["run", "check", "publish"])
def test_help_teaches_with_examples(tmp_path: Path, command: str):
    ended = amqp_bridge(command, "--help", cwd=tmp_path, from_nothing=True)
    assert ended.code == 0
    assert f"Usage: amqp-bridge {command}" in ended.out
    assert f"\n  Examples:\n    amqp-bridge {command} -c bridge.yaml" in ended.out


def test_the_version_for_programs(tmp_path: Path):
    told = json.loads(amqp_bridge("version", "--json", cwd=tmp_path).out)
    assert (told["name"], told["version"]) == ("amqp-bridge", __version__)
    assert told["python"].startswith("3.")


@pytest.mark.parametrize("columns", [70, 200])
def test_help_is_as_wide_as_the_terminal_and_tells_the_connection_apart(tmp_path: Path, columns: int):
    told = amqp_bridge("hooks", "list", "--help", cwd=tmp_path, env={"COLUMNS": str(columns)}).out
    options, connection = told.split("  Examples:")[0].split("\nConnection:\n")
    assert "--url" not in options
    assert "--state" not in connection
    described = [line for line in connection.splitlines() if "--" in line]
    assert len(described) == 5
    whole = "URL of the bridge. Default: BRIDGE_URL, else http://127.0.0.1:8080."
    assert (whole in connection) == (columns > 100)
    listing = amqp_bridge("hooks", "--help", cwd=tmp_path, env={"COLUMNS": str(columns)}).out
    assert ("..." in listing.partition("Commands:")[2]) == (columns < 100)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered_for_each_shell(tmp_path: Path, shell: str):
    ended = amqp_bridge(cwd=tmp_path, env={"_AMQP_BRIDGE_COMPLETE": f"source_{shell}"})
    assert (ended.code, ended.err) == (0, "")
    assert "amqp-bridge" in ended.out


def test_a_command_is_completed(tmp_path: Path):
    env = {"_AMQP_BRIDGE_COMPLETE": "complete_bash", "COMP_WORDS": "amqp-bridge pu", "COMP_CWORD": "1"}
    assert amqp_bridge(cwd=tmp_path, env=env).out.split() == ["publish"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'"),
        (["run", "--nope"], "No such option: --nope"),
        (["run", "--targets", "webhook,mail"], "--targets: no target 'mail'; choose from webhook, script, queue"),
        (["run", "-c", "nope.yaml"], "error: nope.yaml: no such file"),
        (["publish"], "give either --source NAME or --queue QUEUE"),
        (["publish", "-q", "q"], "--queue: give the broker with --url URL or -c FILE"),
        (["publish", "-q", "q", "--url", "http://h"], "--url: a broker's address begins with amqp://"),
        (["publish", "-q", "q", "--url", "amqp://h", "-b", "{"], "--body: not JSON"),
        (["publish", "-q", "q", "--url", "amqp://h", "nope.json"], "nope.json: cannot be read: No such file"),
        (["publish", "-q", "q", "--url", "amqp://h", "-b", "1", "-H", "x"], "--header: 'x' is not of the form name=value"),
        (["publish", "-q", "q", "--url", "amqp://h", "--ndjson"], "nothing to publish: the input is empty"),
        (["publish", "-s", "s", "--url", "amqp://h", "-b", "1"], "--url: goes with --queue"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2_and_says_what_is_wrong(tmp_path: Path, arguments: list[str], said: str):
    ended = amqp_bridge(*arguments, cwd=tmp_path)
    assert ended.code == 2
    assert ended.out == ""
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_a_broker_that_is_not_there_is_one_line_and_exit_code_1(tmp_path: Path):
    ended = amqp_bridge(
        "publish", "-q", "q", "--url", "amqp://u:hunter2@127.0.0.1:1/", "-b", "1", cwd=tmp_path
    )
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert ended.err.startswith("error: ")
    assert "hunter2" not in ended.err


def test_debug_shows_where_an_error_came_from(tmp_path: Path):
    ended = amqp_bridge("--debug", "run", "-c", "nope.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert "Traceback" in ended.err


def test_a_source_is_found_in_the_file_though_secrets_of_hooks_are_missing(tmp_path: Path):
    (tmp_path / "bridge.yaml").write_text(
        "sources: [{name: splynx, queue: q}]\n"
        "hooks: [{name: a, target: {type: webhook, url: u, secrets: ['${NOT_HERE}']}}]\n"
    )
    ended = amqp_bridge("publish", "-s", "splinx", "-b", "1", cwd=tmp_path)
    assert (ended.code, ended.err) == (2, "error: --source: no source 'splinx'; did you mean splynx?\n")
