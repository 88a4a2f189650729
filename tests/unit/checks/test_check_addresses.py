"""An address that no webhook may be sent to is said by `check`, and hinders nothing."""

from pathlib import Path
from typing import Any

import pytest

from bridge.checks.configuration import check, warnings
from bridge.settings.tree import Settings


def said(url: str, allowed: list[str], own: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    settings = Settings.model_validate(
        {
            "http": {"allow_private_targets": allowed},
            "sources": [{"name": "main", "queue": "hooks2"}],
            "hooks": [
                {
                    "name": "crm",
                    "target": {
                        "type": "webhook",
                        "profile": "none",
                        "url": url,
                        "allow_private_targets": list(own),
                    },
                }
            ],
        }
    )
    assert check(settings, Path("/")) == []
    return [(problem.path, problem.message) for problem in warnings(settings)]


@pytest.mark.parametrize(
    "host", ["10.0.0.5", "127.0.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:10.0.0.5]"]
)
def test_a_private_address_that_is_not_allowed_is_a_warning(host: str) -> None:
    ((path, message),) = said(f"http://{host}:8080/in", [])
    assert path == "hooks[0].target.url"
    assert "not in http.allow_private_targets" in message


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("10.0.0.5", "10.0.0.0/8"),
        ("[fd00::1]", "fd00::/8"),
        ("9.9.9.9", ""),
        ("intranet", ""),
        ("localhost", ""),
    ],
)
def test_an_allowed_or_public_address_is_none_and_a_name_is_judged_when_it_is_dialled(
    host: str, allowed: str
) -> None:
    assert said(f"http://{host}/in", [allowed] if allowed else []) == []


def test_a_hook_of_the_file_may_reach_networks_of_its_own() -> None:
    assert said("http://10.0.0.5/in", [], ("10.0.0.0/24",)) == []
    assert len(said("http://10.0.1.5/in", [], ("10.0.0.0/24",))) == 1


def test_addresses_of_proxies_and_token_endpoints_are_looked_at_too() -> None:
    oauth = {"type": "oauth2", "client_id": "a", "client_secret": "b", "token_url": "http://127.0.0.1/"}
    target = {"type": "webhook", "url": "https://example.net", "proxy": "http://10.0.0.1:80", "auth": oauth}
    target |= {"profile": "none"}
    settings = Settings.model_validate({"hooks": [{"name": "crm", "target": target}]})
    assert [problem.path for problem in warnings(settings)] == [
        "hooks[0].target.proxy",
        "hooks[0].target.auth.token_url",
    ]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ({}, ["hooks[0].target.secrets"]),
        ({"profile": "plinqx"}, ["hooks[0].target.secrets"]),
        ({"profile": "none"}, []),
        ({"profile": "cockpit"}, []),
        ({"secrets": ["whsec_QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD"]}, []),
    ],
)
def test_a_profile_that_signs_without_a_secret_is_a_warning(target: dict[str, Any], path: list[str]) -> None:
    hook = {"name": "crm", "target": {"type": "webhook", "url": "https://example.net", **target}}
    settings = Settings.model_validate({"hooks": [hook]})
    assert [problem.path for problem in warnings(settings)] == path
