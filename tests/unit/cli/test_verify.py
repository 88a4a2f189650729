"""What `amqp-bridge verify` says of a request, without a process of its own."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bridge.cli.main import app
from bridge.core.errors import SettingsError

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
[PHLIX] = json.loads((VECTORS / "phlix.json").read_text())
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def run(*arguments: str, body: bytes = b"{}") -> Result:
    return CliRunner().invoke(app, [*arguments, "-"], input=body, catch_exceptions=False)


def lines(headers: dict[str, str]) -> list[str]:
    return [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]


def phlix(*arguments: str, body: bytes | None = None) -> Result:
    sent = PHLIX["body"].encode() if body is None else body
    return run(
        "verify", "-p", "phlix", "--secret", "phlix-secret", *lines(PHLIX["headers"]), *arguments, body=sent
    )


def test_a_signature_is_good_for_300_seconds_and_no_longer():
    good = phlix("--timestamp", "1748802900")
    assert (good.exit_code, good.stdout) == (0, "verified\n")
    late = phlix("--timestamp", "1748802901")
    assert (late.exit_code, late.stdout) == (1, "")
    assert late.stderr == "refused: the timestamp is 301 s old, 300 s are allowed\n"
    assert phlix("--timestamp", "2025-06-01T18:45:00Z", "--tolerance", "15m").exit_code == 0


def test_the_reason_is_told_as_json_too():
    ended = phlix("--timestamp", "1748802600", "--json", body=b"tampered")
    assert ended.exit_code == 1
    assert json.loads(ended.stdout) == {"verified": False, "reason": "the signature does not match the body"}
    good = phlix("--timestamp", "1748802600", "--json")
    assert json.loads(good.stdout) == {"verified": True, "reason": None}


def test_it_says_which_of_several_secrets_it_was():
    ended = phlix("--timestamp", "1748802600", "--secret", "other")
    assert ended.stdout == "verified by secret 1\n"


def test_a_missing_header_is_told_by_name_whatever_the_options_say():
    ended = run(
        "verify", "--secret", STANDARD, "--id", "i", "--timestamp", "5", "-H", "webhook-signature: v1,AA=="
    )
    assert ended.stderr == "refused: no header webhook-id\n"


SCHEMES: list[list[str]] = [
    ["-p", "standard", "--secret", STANDARD],
    ["-p", "splynx", "--secret", "s"],
    ["-p", "phlix", "--secret", "s"],
    ["-p", "plinqx", "--secret", "s"],
    ["-p", "tiki", "--secret", "s", "--signature-header", "X-T", "--algorithm", "sha512/256"],
    ["-p", "cockpit", "--secret", "user:pa:ss"],
    ["-p", "github", "--secret", "s"],
    ["-p", "stripe", "--secret", "s"],
    ["-p", "generic", "--secret", "s", "--prefix", "t={timestamp},v1=", "--template", "{timestamp}.{body}"],
    [
        "-p",
        "generic",
        "--secret",
        "s",
        "--template",
        "{method}{id}{event}{timestamp}{body}",
        "--method",
        "PUT",
    ],
]


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme[1])
def test_what_sign_prints_verifies_with_the_same_options(scheme, tmp_path: Path):
    body = b"a b=\xff{body}%"
    same = [*scheme, "--id", "msg_1", "--event", "e", "--timestamp", "1748802600"]
    (tmp_path / "headers").write_text(run("sign", *same, body=body).stdout)
    same += ["--headers", str(tmp_path / "headers")]
    assert run("verify", *same, body=body).exit_code == 0
    if "cockpit" not in scheme:
        assert run("verify", *same, body=body + b" ").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "header"),
    [
        (["-p", "gitlab", "--secret", "s"], "X-Gitlab-Token: s"),
        (["-p", "token", "--signature-header", "X-T", "--secret", "s"], "x-t:s"),
        (["-p", "basic", "--secret", "user:pass"], "Authorization: Basic dXNlcjpwYXNz"),
    ],
)
def test_types_that_only_inlets_have_can_be_verified(arguments, header):
    assert run("verify", *arguments, "-H", header).exit_code == 0
    assert run("verify", *arguments, "-H", header + "x").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "none"], "--profile: no profile 'none'"),
        (["-p", "splynx"], "a verifier needs a --secret"),
        (["-p", "splynx", "--secret", ""], "the secret is empty"),
        (["-p", "hex", "--secret", "s"], "type hex needs a --signature-header"),
        (["-p", "stripe", "--secret", "s", "--tolerance", "soon"], "--tolerance: 'soon' is no duration"),
        (["-p", "stripe", "--secret", "s", "--timestamp", "soon"], "--timestamp: 'soon' is neither"),
        (["-p", "stripe", "--secret", "s", "-H", "no colon"], "--header: 'no colon' is not of the form"),
        (["-p", "stripe", "--secret", "s", "--headers", "-"], "cannot both be standard input"),
        (["-p", "stripe", "--secret", "s", "--headers", "/nope"], "/nope: cannot be read"),
        (["-p", "basic", "--secret", "s"], "give `username`, or write the secret as `user:password`"),
    ],
)
def test_wrong_usage_is_told(arguments, said):
    with pytest.raises(SettingsError) as caught:
        run("verify", *arguments)
    assert said in str(caught.value)
