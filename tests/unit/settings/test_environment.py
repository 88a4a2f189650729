"""Settings from the environment and from a secrets directory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.core.errors import SettingsError
from bridge.settings.loading import load


def said(env: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(None, env)
    return [str(problem) for problem in caught.value.problems]


def test_the_environment_beats_the_secrets_directory_which_beats_the_file(tmp_path: Path):
    file = tmp_path / "bridge.yaml"
    file.write_text("broker: {prefix: file, heartbeat: 20s}\nlog: {level: warning}\nlimits: {drain: 1s}")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "BRIDGE_BROKER__PREFIX").write_text("secret\n")
    (secrets / "BRIDGE_LOG__LEVEL").write_text("error\r\n")
    (secrets / "other").write_text("not ours")
    env = {"BRIDGE_SECRETS_DIR": str(secrets), "BRIDGE_BROKER__PREFIX": "env"}
    settings = load(file, env)
    assert settings.broker.prefix == "env"
    assert settings.log.level == "error"
    assert settings.limits.drain == 1
    assert settings.broker.heartbeat == 20


def test_only_the_last_line_end_of_a_secrets_file_is_stripped(tmp_path: Path):
    (tmp_path / "BRIDGE_HTTP__ADMIN_TOKEN").write_text(" a b\n\n")
    token = load(None, {"BRIDGE_SECRETS_DIR": str(tmp_path)}).http.admin_token
    assert token is not None
    assert token.get_secret_value() == " a b\n"


def test_an_empty_variable_counts_as_not_set():
    assert load(None, {"BRIDGE_LOG__LEVEL": "", "BRIDGE_HTTP__ADMIN_LISTEN": " "}).log.level == "info"


def test_lists_and_mappings_are_json_or_yaml():
    env = {
        "BRIDGE_SOURCES": '[{"name": "a", "queue": "q"}]',
        "BRIDGE_HOOKS": "- name: h\n  target: {type: script, command: [x]}",
        "BRIDGE_HTTP__ALLOW_PRIVATE_TARGETS": '["10.0.0.0/8"]',
        "BRIDGE_BROKER__URL": '["amqp://a", "amqps://b"]',
        "BRIDGE_BROKERS__BILLING__URL": "amqp://c",
    }
    settings = load(None, env)
    assert [source.queue for source in settings.sources] == ["q"]
    assert [hook.name for hook in settings.hooks] == ["h"]
    assert [str(url) for url in settings.broker.url] == ["amqp://a", "amqps://b"]
    assert str(settings.brokers["billing"].url[0]) == "amqp://c"


def test_a_whole_section_is_laid_under_its_single_settings():
    env = {"BRIDGE_LOG": "{level: debug, format: json}", "BRIDGE_LOG__LEVEL": "error"}
    log = load(None, env).log
    assert (log.level, log.format) == ("error", "json")


def test_a_whole_section_of_the_environment_beats_a_single_setting_of_the_secrets_directory(tmp_path: Path):
    (tmp_path / "BRIDGE_LOG__LEVEL").write_text("error")
    env = {"BRIDGE_SECRETS_DIR": str(tmp_path), "BRIDGE_LOG": "{level: debug}"}
    assert load(None, env).log.level == "debug"


def test_mappings_of_several_sources_are_merged_key_by_key(tmp_path: Path):
    file = tmp_path / "bridge.yaml"
    file.write_text("broker: {prefix: file, tls: {ca: ca.pem}}")
    broker = load(file, {"BRIDGE_BROKER": "{tls: {verify: false}, heartbeat: 5s}"}).broker
    assert (broker.prefix, broker.tls.ca, broker.tls.verify, broker.heartbeat) == ("file", "ca.pem", False, 5)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("BRIDGE_BROKER__URI", "x", "BRIDGE_BROKER__URI: unknown setting broker.uri; did you mean url?"),
        ("BRIDGE_HTP__LISTEN", "x", "BRIDGE_HTP__LISTEN: unknown setting htp; did you mean http?"),
        ("BRIDGE_BROKER__TLS__VERFY", "x", "BRIDGE_BROKER__TLS__VERFY: unknown setting broker.tls.verfy; did you mean verify?"),
        ("BRIDGE_HOOKS__0__NAME", "x", "BRIDGE_HOOKS__0__NAME: hooks is a list: give the whole of it in BRIDGE_HOOKS"),
        ("BRIDGE_LOG__LEVEL__X", "x", "BRIDGE_LOG__LEVEL__X: log.level has nothing below it"),
        ("BRIDGE_LOG__LEVEL", "loud", "BRIDGE_LOG__LEVEL: log.level: expected one of debug, info, warning, error; got 'loud'"),
        ("BRIDGE_LIMITS__OPEN_DELIVERIES", "many", "BRIDGE_LIMITS__OPEN_DELIVERIES: limits.open_deliveries: expected a whole number, got 'many'"),
        ("BRIDGE_HOOKS", "null", "BRIDGE_HOOKS: hooks: expected a list, got nothing"),
        ("BRIDGE_BROKER", "~", "BRIDGE_BROKER: broker: expected a mapping, got nothing"),
        ("BRIDGE_BROKER", "amqp://x", "BRIDGE_BROKER: broker: expected a mapping, got text"),
        ("BRIDGE_HOOKS", "[{name: a", "BRIDGE_HOOKS: hooks: no valid YAML: while parsing a flow mapping"),
        ("BRIDGE_HOOKS", "[{name: a, name: b}]", "BRIDGE_HOOKS: hooks: [0].name given twice, first on line 1"),
        ("BRIDGE_HOOKS", "[{name: a, target: {type: x}}]", "BRIDGE_HOOKS: hooks[0].target.type: expected one of webhook, script, queue, notify; got 'x'"),
        ("BRIDGE_SECRETS_DIR", "/nowhere", "BRIDGE_SECRETS_DIR: /nowhere is no folder"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named(name: str, value: str, problem: str):
    assert said({name: value}) == [problem]


@pytest.mark.parametrize(
    "name",
    ["BRIDGE_ADMIN_TOKEN", "BRIDGE_PORT", "BRIDGE_SERVICE_HOST", "BRIDGE_HTTP_PORT_80_TCP", "BRIDGE_ZZZ__TOP", "BRIDGE_"],
)  # fmt: skip
def test_other_variables_that_begin_alike_are_left_alone(name: str):
    load(None, {name: "x"})


@contextmanager
def nobody() -> Iterator[None]:
    """The rights of a user who is not root, if it is root who tests."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_secrets_directory_without_the_right_to_read_is_named(tmp_path: Path):
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0)
    with nobody():
        assert said({"BRIDGE_SECRETS_DIR": str(folder)}) == [
            f"BRIDGE_SECRETS_DIR: {folder} cannot be read: Permission denied"
        ]
