"""How hooks fare and whether they sign, as the API shows it."""

import time
from typing import Any

import pytest

from bridge.core.records import HookHealth
from bridge.history.history import SqlHistory
from tests.support.api_server import serving_api
from tests.support.hooks_on_table import HooksOnTable

SECRET = "whsec_" + "QUJD" * 8


def webhook(name: str, **target: Any) -> dict[str, Any]:
    return {"name": name, "target": {"type": "webhook", "url": "https://crm.example.net/in", **target}}


async def test_a_hook_that_only_fails_is_failing_with_since_and_last_success(history: SqlHistory):
    async with serving_api(history, [webhook(name) for name in ("well", "once", "down")]) as api:
        in_force = api.desk.in_force
        assert isinstance(in_force, HooksOnTable)
        in_force.health = {
            "well": HookHealth("well", last_success_at=20.0),
            "once": HookHealth("once", last_success_at=20.0, failing_since=30.0, failed_attempts=2),
            "down": HookHealth("down", last_success_at=20.0, failing_since=30.0, failed_attempts=3),
        }
        states = {each["name"]: each["state"] for each in (await api.client.get("/hooks"))["items"]}
        assert states["down"]["failing"] == {"since": "1970-01-01T00:00:30Z", "failed_attempts": 3}
        assert states["down"]["last_success_at"] == "1970-01-01T00:00:20Z"
        assert (states["once"]["failing"], states["well"]["failing"]) == (None, None)
        failing = (await api.client.get("/hooks?state=failing"))["items"]
        assert [each["name"] for each in failing] == ["down"]
        assert (await api.client.refused("/hooks/dow", 404)).body["detail"].endswith("did you mean down?")


async def test_a_webhook_tells_whether_and_with_how_many_secrets_it_signs(history: SqlHistory):
    hooks = [
        webhook("signed", secrets=[SECRET, SECRET + "QUJD"]),
        webhook("unsigned"),
        webhook("open", profile="none"),
        {"name": "queue", "target": {"type": "queue", "queue": "q"}},
    ]
    async with serving_api(history, hooks) as api:
        signing = {each["name"]: each["signing"] for each in (await api.client.get("/hooks"))["items"]}
        assert (signing["signed"]["signs"], signing["signed"]["warning"]) == (True, None)
        assert signing["signed"]["secrets"] == [{"until": None}, {"until": None}]
        assert signing["unsigned"]["signs"] is False
        assert "there is no secret" in signing["unsigned"]["warning"]
        assert signing["open"] == {"signs": False, "secrets": [], "warning": None}
        assert signing["queue"] is None


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (
            {"secrets": [f"{SECRET}\n"]},
            "target.secrets[0] has a blank or a line break at an end, which is left out",
        ),
        ({"profile": "github", "secrets": ["s3cr3t", " s3cr3t"]}, "target.secrets[1] has a blank"),
        ({"profile": "none", "headers": {"X-Key": "abc "}}, "target.headers.X-Key has a blank"),
        (
            {"profile": "none", "auth": {"type": "basic", "username": "me", "password": "geheim\r\n"}},
            "target.auth.password has a blank",
        ),
    ],
)
async def test_a_blank_at_an_end_of_what_is_secret_is_told_when_the_hook_is_made_and_ever_after(
    history: SqlHistory, target: dict[str, Any], told: str
):
    async with serving_api(history) as api:
        made = await api.client.send("POST", "/hooks", webhook("crm", **target))
        assert made.status == 201, made.body
        assert told in made.body["signing"]["warning"]
        assert not any(
            text.strip() in made.body["signing"]["warning"] for text in (SECRET, "s3cr3t", "geheim")
        )
        shown = (await api.client.get("/hooks/crm"))["signing"]
        assert shown == made.body["signing"]
        assert shown["signs"] is (target.get("profile") != "none")


async def test_a_secret_that_was_replaced_is_told_with_when_it_ends(history: SqlHistory):
    async with serving_api(history) as api:
        made = (await api.client.send("POST", "/hooks", webhook("crm", secrets=[SECRET]))).body
        before = time.time()
        rotated = await api.client.send("POST", f"/hooks/{made['id']}/secret", {"keep": "1h"})
        assert rotated.status == 200, rotated.body
        shown = (await api.client.get(f"/hooks/{made['id']}"))["signing"]
        untils = [each["until"] for each in shown["secrets"]]
        assert len(untils) == 2
        assert untils.count(None) == 1
        assert max(filter(None, untils)) > time.strftime("%Y-%m-%dT%H:%M", time.gmtime(before + 3500))
        again = await api.client.send(
            "PUT", f"/hooks/{made['id']}", await api.client.get(f"/hooks/{made['id']}")
        )
        assert again.status == 200, again.body
