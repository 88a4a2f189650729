"""A file of variables and a secrets directory give names to the configuration, read anew each time."""

from pathlib import Path

import pytest

from bridge.core.errors import SettingsError
from bridge.settings.loading import load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "bridge.yaml"
    file.write_text('broker: {url: "amqp://u:${WORD}@h/"}')
    return file


def url(file: Path, env: dict[str, str]) -> str:
    return load(file, env).broker.url[0].get_secret_value()


def test_a_name_is_looked_for_in_the_environment_and_then_in_the_secrets_directory(
    file: Path, tmp_path: Path
):
    env = {"BRIDGE_SECRETS_DIR": str(tmp_path)}
    (tmp_path / "WORD").write_text("one\n")
    assert url(file, env) == "amqp://u:one@h/"
    (tmp_path / "WORD").write_text("two")
    assert url(file, env) == "amqp://u:two@h/"
    assert url(file, {**env, "WORD": "three"}) == "amqp://u:three@h/"
    (tmp_path / "WORD").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="environment variable WORD is not set"):
        url(file, env)


def test_a_file_of_variables_wins_over_the_environment_that_a_process_keeps(file: Path, tmp_path: Path):
    variables = tmp_path / "env"
    variables.write_text(
        "# a comment\n\nexport WORD='o n e'\nBRIDGE_BROKER__PREFIX = \"two\"\n; and another\n"
    )
    env = {"BRIDGE_ENV_FILE": str(variables), "WORD": "old", "BRIDGE_BROKER__PREFIX": "old"}
    assert url(file, env) == "amqp://u:o n e@h/"
    assert load(file, env).broker.prefix == "two"
    variables.write_text("WORD=a=b'")
    assert url(file, env) == "amqp://u:a=b'@h/"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"hunter2", ":1: each line is NAME=value"), (b"\xff", "not UTF-8"), (None, "No such file"), (b"x" * 2**20 + b"x", "over 1 MiB")],
)  # fmt: skip
def test_a_file_of_variables_that_is_none_is_told_without_its_text(
    tmp_path: Path, content: bytes | None, said: str
):
    if content is not None:
        (tmp_path / "env").write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        load(None, {"BRIDGE_ENV_FILE": str(tmp_path / "env")})
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)
