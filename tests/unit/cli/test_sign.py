"""What `amqp-bridge sign` prints for a body, without a process of its own."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bridge.cli.main import app
from bridge.core.errors import SettingsError

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def vectors() -> list[tuple[str, list[str], dict[str, Any]]]:
    """Profile, further options and vector, of all systems."""
    found: list[tuple[str, list[str], dict[str, Any]]] = []
    for profile in ("splynx", "phlix", "plinqx", "tiki", "cockpit"):
        found += [
            (profile, ["--encoding", "hex"] if vector.get("verification") == "hmac" else [], vector)
            for vector in json.loads((VECTORS / f"{profile}.json").read_text())
        ]
    for profile, vector in zip(
        ("standard", "github", "stripe"), json.loads((VECTORS / "generic.json").read_text()), strict=True
    ):
        found.append((profile, ["--id", vector["id"]] if "id" in vector else [], vector))
    return found


def printed(*arguments: str, body: bytes = b"{}", env: dict[str, str] | None = None) -> dict[str, str]:
    ended = CliRunner().invoke(app, ["sign", *arguments, "-"], input=body, env=env, catch_exceptions=False)
    assert ended.exit_code == 0
    return dict(line.split(": ", 1) for line in ended.stdout.splitlines())


def problem(*arguments: str) -> str:
    with pytest.raises(SettingsError) as caught:
        CliRunner().invoke(app, ["sign", *arguments, "-"], input=b"{}", catch_exceptions=False)
    return str(caught.value)


@pytest.mark.parametrize(("profile", "more", "vector"), vectors(), ids=lambda case: str(case)[:40])
def test_every_vector_of_the_systems_comes_out(profile, more, vector):
    secret = vector.get("secret") or "{user}:{pass}".format_map(vector["auth"])
    stamp = ["--timestamp", str(vector["timestamp"])] if "timestamp" in vector else []
    body = vector.get("body", "").encode()
    headers = printed("--profile", profile, "--secret", secret, *stamp, *more, body=body)
    assert vector["headers"].items() <= headers.items()


def test_what_is_not_given_is_made_afresh():
    one, other = printed("--secret", STANDARD), printed("--secret", STANDARD)
    assert re.fullmatch(r"msg_[0-9a-f-]{36}", one["webhook-id"])
    assert one["webhook-id"] != other["webhook-id"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", printed("-p", "plinqx")["X-Plinqx-Timestamp"])


def test_a_moment_may_be_written_in_either_form():
    seconds = printed("-p", "stripe", "--secret", "s", "--timestamp", "1746428889")
    assert printed("-p", "stripe", "--secret", "s", "--timestamp", "2025-05-05T07:08:09Z") == seconds


def test_any_text_is_a_timestamp_to_plinqx():
    assert printed("-p", "plinqx", "--secret", "s", "--timestamp", "soon")["X-Plinqx-Timestamp"] == "soon"


@pytest.mark.parametrize(
    ("body", "more", "event"),
    [
        (b'{"event":"tool.called","timestamp":"2025-05-05T07:08:09Z","data":{}}', [], "tool.called"),
        (b'{"event":"a"}', ["--event", "b"], "b"),
        (b'{"event":"a"}', [], "a"),
        (b'{"event_type":"b","payload":{},"occurred_at":"2025-05-05T07:08:09Z"}', [], "b"),
        (b"\xff\xfe", [], None),
        (b"{}", [], None),
    ],
)
def test_the_type_is_what_the_body_says_unless_it_is_given(body, more, event):
    assert printed("-p", "plinqx", *more, body=body).get("X-Plinqx-Event") == event


def test_secrets_come_from_options_files_and_the_environment_in_this_order(tmp_path: Path):
    (tmp_path / "key").write_bytes(b"zwei\r\n")
    headers = printed(
        "-p", "stripe", "--secret-env", "THREE", "--secret-file", str(tmp_path / "key"), "--secret", "one",
        "--timestamp", "5", env={"THREE": "drei"},
    )  # fmt: skip
    singly = [
        printed("-p", "stripe", "--secret", secret, "--timestamp", "5")["Stripe-Signature"].removeprefix(
            "t=5,"
        )
        for secret in ("one", "zwei", "drei")
    ]
    assert headers == {"Stripe-Signature": ",".join(["t=5", *singly])}


def test_generic_takes_all_options():
    headers = printed(
        "-p", "generic", "--secret", "s", "--signature-header", "X-S", "--algorithm", "sha3-256", "--encoding",
        "base64", "--prefix", "v={timestamp}:", "--template", "{method}{path}{id}{event}{timestamp}{body}",
        "--method", "PUT", "--path", "/x", "--timestamp-header", "X-T", "--id-header", "X-I", "--event-header",
        "X-E", "--timestamp", "5", "--id", "i", "--event", "e",
    )  # fmt: skip
    assert {name: headers[name] for name in ("X-T", "X-I", "X-E")} == {"X-T": "5", "X-I": "i", "X-E": "e"}
    assert headers["X-S"].startswith("v=5:")


def test_json_is_an_object_of_the_headers():
    ended = CliRunner().invoke(app, ["sign", "-p", "splynx", "--secret", "s", "--json", "-"], input=b"{}")
    assert list(json.loads(ended.stdout)) == ["X-Splynx-Signature"]


def test_without_a_secret_it_says_that_nothing_is_signed():
    ended = CliRunner().invoke(app, ["sign", "-"], input=b"{}")
    assert "without a secret there is no signature" in ended.stderr
    assert "webhook-signature" not in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "splinx"], "--profile: no profile 'splinx'; did you mean"),
        (["-p", "zzz"], "--profile: no profile 'zzz'; known: standard, splynx"),
        (["-p", "splynx"], "profile splynx needs a secret"),
        (["--secret", ""], "a secret is empty"),
        (["--secret", "no base64"], "a secret is no base64"),
        (["--secret-file", "/nope"], "--secret-file: /nope cannot be read: No such file"),
        (["--secret-env", "NOPE_NOT_SET"], "--secret-env: the environment variable NOPE_NOT_SET is not set"),
        (["--timestamp", "soon"], "--timestamp: 'soon' is neither Unix seconds nor"),
        (["--timestamp", "-5"], "--timestamp: '-5' is neither"),
        (["-p", "plinqx", "--timestamp", "a\nb"], "--timestamp: 'a\\nb' cannot stand in a header"),
        (["--id", "a.b"], "--id: 'a.b' cannot be signed"),
        (["-p", "splynx", "--secret", "s", "--algorithm", "md5"], "its own way of `algorithm`"),
        (["-p", "generic", "--secret", "s", "--template", ""], "--template: "),
        (["-p", "generic", "--secret", "s", "--template", "{x}"], "{x}, which is no placeholder"),
    ],
)
def test_what_cannot_be_signed_is_told(arguments, said):
    assert said in problem(*arguments)
