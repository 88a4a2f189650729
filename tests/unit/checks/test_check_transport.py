"""What `check` says of certificates and token endpoints before anything is contacted."""

from pathlib import Path
from typing import Any

import pytest

from bridge.checks.configuration import check, warnings
from bridge.settings.tree import Settings
from bridge.wire.address_gate import is_loopback
from tests.support.certificates import Authority


def checked(broker: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Problems and warnings, each with its path."""
    settings = Settings.model_validate({"brokers": {"far": {"url": "amqps://far/", **broker}}})
    problems = [str(problem) for problem in check(settings, Path("/"))]
    return problems, [] if problems else [str(problem) for problem in warnings(settings)]


def with_tokens_from(url: str) -> dict[str, Any]:
    return {"auth": "oauth2", "oauth2": {"token_url": url, "client_id": "bridge", "client_secret": "s"}}


def test_a_certificate_that_has_ended_is_a_warning(tmp_path: Path):
    authority = Authority(tmp_path)
    good, late = authority.issue("good"), authority.issue("late", days=-1)
    assert checked({"tls": {"cert": str(good.cert), "key": str(good.key)}}) == ([], [])
    problems, (warning,) = checked({"tls": {"cert": str(late.cert), "key": str(late.key)}})
    assert problems == []
    assert warning.startswith(f"brokers.far.tls.cert: {late.cert} ended at ")


def test_a_key_of_another_certificate_is_a_problem(tmp_path: Path):
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")
    (problem,), _ = checked({"tls": {"cert": str(one.cert), "key": str(other.key)}})
    assert problem.startswith("brokers.far.tls.cert: ")
    assert "KEY_VALUES_MISMATCH" in problem


@pytest.mark.parametrize("host", ["id.example.net", "10.1.2.3"])
def test_a_client_secret_in_the_open_is_a_warning(host: str):
    assert checked(with_tokens_from(f"https://{host}/token")) == ([], [])
    problems, (warning,) = checked(with_tokens_from(f"http://{host}/token"))
    assert problems == []
    assert "travel in the open" in warning


def test_a_token_endpoint_that_is_no_address_is_a_problem():
    (problem,), _ = checked(with_tokens_from("ftp://id.example.net/"))
    assert problem.startswith("brokers.far.oauth2.token_url: ")


def test_this_machine_is_known_in_every_notation():
    assert all(map(is_loopback, ("localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "::1", "[::1]")))
    assert not any(map(is_loopback, ("localhost.example.net", "128.0.0.1", "::2", "", "10.0.0.1")))
