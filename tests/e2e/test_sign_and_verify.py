"""`amqp-bridge sign` and `verify` as programs."""

from pathlib import Path

from tests.support.command import amqp_bridge


def test_headers_go_from_sign_through_a_pipe_into_verify(tmp_path: Path):
    (tmp_path / "body").write_bytes(b'{"a": "\xff{body}"}\n')
    signed = amqp_bridge(
        "sign", "--profile", "phlix", "--secret-env", "KEY", "body", cwd=tmp_path, env={"KEY": "schlüssel"}
    )
    assert (signed.code, signed.err) == (0, "")
    verify = ("verify", "--profile", "phlix", "--secret", "schlüssel", "--headers", "-")
    verified = amqp_bridge(*verify, "body", cwd=tmp_path, stdin=signed.out.encode())
    assert (verified.code, verified.out, verified.err) == (0, "verified\n", "")


def test_a_refusal_is_exit_code_1_and_wrong_usage_2(tmp_path: Path):
    refused = amqp_bridge(
        "verify", "--profile", "splynx", "--secret", "hunter2", "-", cwd=tmp_path, stdin=b"x"
    )
    assert (refused.code, refused.out, refused.err) == (1, "", "refused: no header X-Splynx-Signature\n")
    wrong = amqp_bridge(
        "sign", "--profile", "standard", "--secret", "hunter2!", "-", cwd=tmp_path, stdin=b"x"
    )
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.startswith("error: a secret is no base64")
    assert "hunter2" not in refused.err + wrong.err
