"""An address that no webhook may be sent to is said before anything starts."""

from pathlib import Path

import pytest

from bridge.admin.check import check
from bridge.settings.tree import Settings


def problems(url: str, allowed: list[str]) -> list[tuple[str, str]]:
    settings = Settings.model_validate(
        {
            "http": {"allow_private_targets": allowed},
            "sources": [{"name": "main", "queue": "hooks2"}],
            "hooks": [{"name": "crm", "target": {"type": "webhook", "url": url}}],
        }
    )
    return [(problem.path, problem.message) for problem in check(settings, Path("/"))]


@pytest.mark.parametrize(
    "host", ["10.0.0.5", "127.0.0.1", "169.254.169.254", "[fd00::1]", "[::ffff:10.0.0.5]"]
)
def test_a_private_address_that_is_not_allowed_is_a_problem(host: str) -> None:
    ((path, message),) = problems(f"http://{host}:8080/in", [])
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
    assert problems(f"http://{host}/in", [allowed] if allowed else []) == []
