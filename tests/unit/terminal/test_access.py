"""Where commands look for the bridge and its token."""

from pathlib import Path

import pytest

from bridge.core.errors import SettingsError
from bridge.terminal.client import ConnectionOptions, access, listening, normal


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://bridge.example.net/", "https://bridge.example.net"),
        ("https://example.net/bridge/api/v1/", "https://example.net/bridge"),
        ("https://example.net/api", "https://example.net"),
        ("http://[::1]:8080//", "http://[::1]:8080"),
    ],
)
def test_an_address_is_taken_in_every_form_that_is_clear(given: str, address: str):
    assert normal(given) == address


@pytest.mark.parametrize(
    "given", ["ftp://x", "", "http://", "http://h:99999", "http://u:p@h", "http://h?x=1"]
)
def test_an_address_that_cannot_be_one_is_wrong_usage(given: str):
    with pytest.raises(SettingsError, match="--url"):
        normal(given)


def test_options_win_over_the_file_and_the_file_over_the_environment(tmp_path: Path):
    file = tmp_path / "bridge.yaml"
    file.write_text('http: {listen: ":8080", admin_listen: "0.0.0.0:9090", admin_token: of-the-file}')
    env = {"BRIDGE_URL": "http://env:1", "BRIDGE_TOKEN": "of-env", "BRIDGE_ADMIN_TOKEN": "of-admin"}
    by_file = access(ConnectionOptions(config=file), env)
    assert (by_file.url, by_file.token) == ("http://127.0.0.1:9090", "of-the-file")
    by_option = access(ConnectionOptions(url="http://given:2", token="given", config=file), env)
    assert (by_option.url, by_option.token) == ("http://given:2", "given")
    by_env = access(ConnectionOptions(), env)
    assert (by_env.url, by_env.token) == ("http://env:1", "of-env")
    del env["BRIDGE_TOKEN"]
    assert access(ConnectionOptions(), env).token == "of-admin"
    assert access(ConnectionOptions(), {}).url == "http://127.0.0.1:8080"


def test_a_token_is_read_from_a_file_without_its_line_end(tmp_path: Path):
    file = tmp_path / "token"
    file.write_text("secret\n")
    found = access(ConnectionOptions(token_file=file), {"BRIDGE_TOKEN": "other"})
    assert found.token == "secret"
    assert "secret" not in repr(found)


def test_a_missing_token_file_is_wrong_usage(tmp_path: Path):
    with pytest.raises(SettingsError, match="--token-file"):
        access(ConnectionOptions(token_file=tmp_path / "none"), {})


@pytest.mark.parametrize(
    ("listen", "address"),
    [(":8080", "http://127.0.0.1:8080"), ("[::]:81", "http://[::1]:81"), ("h:1", "http://h:1")],
)
def test_what_listens_everywhere_answers_here(listen: str, address: str):
    assert listening(listen) == address


def test_a_port_that_nobody_knows_must_be_said():
    with pytest.raises(SettingsError, match="--url"):
        listening("127.0.0.1:0")
