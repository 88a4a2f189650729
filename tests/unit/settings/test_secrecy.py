"""No message, dump or repr tells a secret."""

import json
from pathlib import Path

import pytest

from bridge.core.errors import SettingsError
from bridge.settings.loading import load
from bridge.settings.transport import SecretUrl, host_and_port

SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "broker: {url: 'http://u:hunter2@h'}",
        "broker: {url: 'amqp://u:hunter2/x@h:5672/'}",
        "broker: {url: 'amqp://u:hunter2@h:port/'}",
        "broker: {url: ['amqp://u:hunter2@']}",
        "broker: {url: hunter2}",
        "storage: {url: 'mysql://u:hunter2@h/d'}",
        "storage: {url: 'postgresql://u:hunter2@'}",
        "http: {admin_token: [hunter2]}",
        "http: {admin_tokn: hunter2}",
        "broker: {heartbeat: '${SECRET}'}",
        "log: {level: '${SECRET}'}",
        "http: {listen: '${SECRET}'}",
        "limits: {open_deliveries: '${SECRET}'}",
        "sources: [{name: a, queue: a, timezone: '${SECRET}'}]",
        "hooks: [{name: '${SECRET}!', target: {type: '${SECRET}'}}]",
        "hooks: [{name: a, target: {type: webhook, url: u, secrets: hunter2}}]",
        "hooks: [{name: a, target: {type: webhook, url: u, auth: hunter2}}]",
    ],
)
def test_a_problem_never_shows_a_secret(tmp_path: Path, text: str):
    path = tmp_path / "bridge.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(path, {"SECRET": SECRET})
    assert SECRET not in str(caught.value)


def test_a_number_as_a_secret_is_not_shown(tmp_path: Path):
    path = tmp_path / "bridge.yaml"
    path.write_text(
        "hooks: [{name: a, target: {type: webhook, url: u, secrets: [4711], headers: {X-Token: 4711}}}]"
    )
    with pytest.raises(SettingsError) as caught:
        load(path, {})
    assert "expected text, got a number; put it in quotes" in str(caught.value)
    assert "4711" not in str(caught.value)


def test_a_secrets_file_is_not_shown(tmp_path: Path):
    (tmp_path / "BRIDGE_LOG__LEVEL").write_text(SECRET)
    with pytest.raises(SettingsError) as caught:
        load(None, {"BRIDGE_SECRETS_DIR": str(tmp_path)})
    assert SECRET not in str(caught.value)


def test_a_dump_shows_addresses_without_passwords_and_no_token():
    env = {
        "BRIDGE_BROKER__URL": "amqp://u:hunter2@h/v",
        "BRIDGE_STORAGE__URL": "postgresql://u:hunter2@h/d?password=hunter2&application_name=x",
        "BRIDGE_HTTP__ADMIN_TOKEN": SECRET,
    }
    settings = load(None, env)
    dump = json.dumps(settings.model_dump(mode="json"))
    assert SECRET not in dump + repr(settings) + str(settings)
    assert "amqp://u:***@h/v" in dump
    assert "postgresql://u:***@h/d?password=***&application_name=x" in dump
    assert settings.broker.url[0].get_secret_value() == "amqp://u:hunter2@h/v"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///bridge.db", "sqlite:///bridge.db"),
        ("amqp://h:5672/a@b", "amqp://h:***@b"),  # more hidden than need be, never less
        ("amqp://u@h", "amqp://u@h"),
        ("amqp://u:a/b#c@h", "amqp://u:***@h"),
        ("amqp://u:p@h/v%2F", "amqp://u:***@h/v%2F"),
    ],
)
def test_redaction_keeps_the_rest_as_it_was(url: str, shown: str):
    assert str(SecretUrl(url)) == shown


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        (":0", (None, 0)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:65535", ("localhost", 65535)),
    ],
)
def test_addresses_to_listen_on(listen: str, expected: tuple[str | None, int]):
    assert host_and_port(listen) == expected


@pytest.mark.parametrize("listen", ["", "8080", "::1:80", "a:65536", "http://a:1", "a:", "a b:1"])
def test_what_is_no_address_to_listen_on(listen: str):
    with pytest.raises(ValueError, match="no address to listen on"):
        host_and_port(listen)
