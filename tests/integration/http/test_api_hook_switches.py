"""Hooks over HTTP: enabled, disabled, paused, resumed, and given new secrets."""

import time
from datetime import datetime
from typing import Any

import pytest

from bridge.core.ports import HookState
from bridge.core.target import Signature
from bridge.history.history import SqlHistory
from bridge.signing.profiles import signer
from tests.support.api_server import ApiClient, ServedApi, serving_api
from tests.support.hook_bodies import OTHER_SECRET, QUEUE, SECRET, hook, webhook, written

_UNSIGNED = (
    QUEUE,
    webhook(profile="none", secrets=[])["target"],
    webhook(profile="cockpit", secrets=["me:pw"])["target"],
)


async def post(client: ApiClient, path: str, body: Any = None, status: int = 200) -> Any:
    """What is answered."""
    answer = await client.ask(path, method="POST", body=None if body is None else written(body))
    assert answer.status == status, answer.body
    return answer.body


async def made(client: ApiClient, body: Any) -> str:
    """The id of the hook that was made."""
    hook_id: str = (await post(client, "/hooks", body, 201))["id"]
    return hook_id


def live_secrets(api: ServedApi, hook_id: str) -> list[str]:
    target: Any = api.runner(hook_id).hook.target
    return [secret.get_secret_value() for secret in target.secrets]


async def test_a_hook_of_the_api_is_switched_itself(history: SqlHistory):
    async with serving_api(history) as api:
        path = f"/hooks/{await made(api.client, hook())}"
        paused = await post(api.client, f"{path}/pause", {"reason": "at night"})
        assert (paused["paused"], paused["state"]["paused"], paused["state"]["reason"]) == (
            True,
            True,
            "at night",
        )
        assert paused["state"]["overlay"] is None
        assert api.runner(paused["id"]).paused
        resumed = await post(api.client, f"{path}/resume")
        assert (resumed["paused"], resumed["state"]["paused"], resumed["state"]["reason"]) == (
            False,
            False,
            None,
        )
        assert not (await post(api.client, f"{path}/disable"))["enabled"]
        assert not api.runner(paused["id"]).hook.enabled
        assert (await post(api.client, f"{path}/enable"))["enabled"]


async def test_a_hook_of_the_file_gets_an_overlay_that_survives_a_restart(history: SqlHistory):
    hooks = [{"name": "file", "target": QUEUE}]
    async with serving_api(history, hooks) as api:
        before = time.time()
        paused = await post(api.client, "/hooks/file/pause", {"reason": "moving"})
        assert (paused["paused"], paused["enabled"], paused["state"]["reason"]) == (True, True, "moving")
        overlay = paused["state"]["overlay"]
        at = datetime.fromisoformat(overlay.pop("at")).timestamp()
        assert before <= at <= time.time()
        assert overlay == {"enabled": None, "paused": True, "reason": "moving"}
        await post(api.client, "/hooks/file/disable")
    async with serving_api(history, hooks) as api:
        shown = await api.client.get("/hooks/file")
        assert (shown["paused"], shown["enabled"]) == (True, False)
        assert api.runner("file").paused
        await post(api.client, "/hooks/file/resume")
        shown = await post(api.client, "/hooks/file/enable")
        assert (shown["paused"], shown["enabled"], shown["state"]["overlay"]) == (False, True, None)
        assert not api.runner("file").paused


async def test_what_the_file_pauses_can_be_resumed_and_what_it_disables_enabled(history: SqlHistory):
    async with serving_api(
        history, [{"name": "file", "paused": True, "enabled": False, "target": QUEUE}]
    ) as api:
        await post(api.client, "/hooks/file/resume")
        shown = await post(api.client, "/hooks/file/enable")
        assert (shown["paused"], shown["enabled"]) == (False, True)
        overlay = shown["state"]["overlay"]
        assert (overlay["paused"], overlay["enabled"]) == (False, True)
        assert not (await post(api.client, "/hooks/file/disable"))["enabled"]
        shown = await post(api.client, "/hooks/file/pause")
        assert shown["state"]["overlay"] is None


@pytest.mark.parametrize("managed_by", ["api", "file"])
async def test_to_resume_lifts_the_pause_of_the_bridge_itself(history: SqlHistory, managed_by: str):
    async with serving_api(history, [{"name": "file", "target": QUEUE}]) as api:
        hook_id = await made(api.client, hook()) if managed_by == "api" else "file"
        await history.set_hook_state(HookState(hook_id, paused=True, reason="410 Gone", at=time.time()))
        await api.desk.in_force.changed()
        shown = await api.client.get(f"/hooks/{hook_id}")
        assert (shown["paused"], shown["state"]["paused"], shown["state"]["reason"]) == (
            False,
            True,
            "410 Gone",
        )
        shown = await post(api.client, f"/hooks/{hook_id}/pause")
        assert (shown["paused"], shown["state"]["reason"]) == (True, "410 Gone")
        shown = await post(api.client, f"/hooks/{hook_id}/resume")
        assert (shown["paused"], shown["state"]["paused"], shown["state"]["reason"]) == (False, False, None)
        assert not api.runner(hook_id).paused


@pytest.mark.parametrize("managed_by", ["api", "file"])
async def test_to_say_it_again_changes_nothing(history: SqlHistory, managed_by: str):
    async with serving_api(history, [{"name": "file", "target": QUEUE}]) as api:
        hook_id = await made(api.client, hook()) if managed_by == "api" else "file"
        for verb in ("pause", "disable", "resume", "enable"):
            await post(api.client, f"/hooks/{hook_id}/{verb}")
            first = await api.client.ask(f"/hooks/{hook_id}")
            await post(api.client, f"/hooks/{hook_id}/{verb}")
            again = await api.client.ask(f"/hooks/{hook_id}")
            assert again.headers["ETag"] == first.headers["ETag"]
            assert (again.body["paused"], again.body["enabled"]) == (
                first.body["paused"],
                first.body["enabled"],
            )


async def test_what_cannot_be_switched_is_refused(history: SqlHistory):
    async with serving_api(history, [{"name": "file", "target": QUEUE}]) as api:
        for verb in ("pause", "disable", "resume", "enable", "secret"):
            await post(api.client, f"/hooks/hk_{'a' * 16}/{verb}", status=404)
        await post(api.client, "/hooks/file/pause", {"reason": 5}, 422)
        await post(api.client, "/hooks/file/pause", {"why": "so"}, 422)
        await post(api.client, "/hooks/file/pause", {"reason": "a" * 501}, 422)
        assert not (await api.client.get("/hooks/file"))["paused"]
        shown = await post(api.client, "/hooks/file/pause", {"reason": "nul \x00 and \U0001f600"})
        assert "nul" in shown["state"]["reason"]


# ---- secrets --------------------------------------------------------------------------------------------


async def test_a_new_secret_signs_first_and_the_former_ones_until_they_end(history: SqlHistory):
    async with serving_api(history) as api:
        hook_id = await made(api.client, hook())
        before = time.time()
        rotated = await post(api.client, f"/hooks/{hook_id}/secret")
        assert rotated["id"] == hook_id
        assert rotated["secret"].startswith("whsec_")
        ends = datetime.fromisoformat(rotated["expires_at"]).timestamp()
        assert before + 86_400 <= ends <= time.time() + 86_400
        assert live_secrets(api, hook_id) == [rotated["secret"], SECRET]
        again = await post(api.client, f"/hooks/{hook_id}/secret", {"secret": OTHER_SECRET, "keep": "1h"})
        assert (again["secret"], again["expires_at"] < rotated["expires_at"]) == (OTHER_SECRET, True)
        assert live_secrets(api, hook_id) == [OTHER_SECRET, rotated["secret"], SECRET]
        last = await post(api.client, f"/hooks/{hook_id}/secret", {"keep": 0})
        assert last["expires_at"] is None
        assert live_secrets(api, hook_id) == [last["secret"]]


async def test_a_variable_is_no_new_secret(history: SqlHistory):
    async with serving_api(history) as api:
        hook_id = await made(api.client, hook())
        answer = await api.client.ask(
            f"/hooks/{hook_id}/secret", method="POST", body=b'{"secret": "${NEW_SECRET}"}'
        )
        assert (answer.status, answer.names) == (422, ["secret"]), answer.body
        assert live_secrets(api, hook_id) == [SECRET]


async def test_former_secrets_end_by_themselves(history: SqlHistory):
    async with serving_api(history) as api:
        hook_id = await made(api.client, hook())
        rotated = await post(api.client, f"/hooks/{hook_id}/secret", {"keep": "10m"})
        stored = api.desk.in_force.stored[hook_id]
        end = stored.next_end(time.time())
        assert end is not None
        target: Any = stored.live(end).target
        assert [each.get_secret_value() for each in target.secrets] == [rotated["secret"]]


async def test_a_hook_without_a_secret_gets_its_first(history: SqlHistory):
    async with serving_api(history) as api:
        hook_id = await made(api.client, webhook(secrets=[]))
        rotated = await post(api.client, f"/hooks/{hook_id}/secret")
        assert rotated["expires_at"] is None
        assert live_secrets(api, hook_id) == [rotated["secret"]]


@pytest.mark.parametrize("profile", ["splynx", "phlix", "plinqx", "tiki", "github", "stripe", "generic"])
async def test_a_secret_is_made_in_the_form_of_every_profile(history: SqlHistory, profile: str):
    async with serving_api(history) as api:
        hook_id = await made(api.client, webhook(profile=profile, secrets=["abcdefghijklmnop"]))
        rotated = await post(api.client, f"/hooks/{hook_id}/secret", {"keep": 0})
        assert len(rotated["secret"]) >= 32
        assert rotated["secret"].startswith("whsec_") == (profile == "stripe")


async def test_a_secret_that_cannot_be_is_refused_and_nothing_changed(history: SqlHistory):
    async with serving_api(history) as api:
        hook_id = await made(api.client, hook())
        wrong: list[Any] = [
            {"secret": ""},
            {"secret": "???"},
            {"secret": SECRET},
            {"secret": 5},
            {"keep": "later"},
            {"keep": -1},
            {"keep": "1e999"},
            {"kep": "1h"},
            [],
        ]
        for body in wrong:
            await post(api.client, f"/hooks/{hook_id}/secret", body, 422)
        assert live_secrets(api, hook_id) == [SECRET]
        for number, unsigned in enumerate(_UNSIGNED):
            other = await made(api.client, hook(f"other-{number}", target=unsigned))
            await post(api.client, f"/hooks/{other}/secret", status=409)


OLD, NEW, NEWEST = "former-secret-1", "new-secret-22", "newest-secret-333"


def signed(profile: str, *secrets: str) -> dict[str, str]:
    return dict(signer(profile, secrets, Signature()).headers(b"body", "id-1", "1700000000", "a.b"))


def signed_at(api: ServedApi, hook_id: str, at: float) -> dict[str, str]:
    """The headers that the hook would sign with at this time."""
    target: Any = api.desk.in_force.stored[hook_id].live(at).target
    return signed(target.profile, *[each.get_secret_value() for each in target.secrets])


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("profile", ["splynx", "plinqx", "github", "tiki", "generic"])
async def test_where_one_secret_signs_the_former_one_does_until_it_ends_and_the_answer_says_so(
    history: SqlHistory, profile: str
):
    async with serving_api(history) as api:
        hook_id = await made(api.client, webhook(profile=profile, secrets=[OLD]))
        first = await post(api.client, f"/hooks/{hook_id}/secret", {"secret": NEW, "keep": "1h"})
        now, end = time.time(), moment(first["expires_at"])
        assert (first["starts_at"], first["together"]) == (first["expires_at"], False)
        assert first["explanation"] == (
            f"profile {profile} signs with one secret: the former one until {first['expires_at']}, then the new one"
        )
        assert signed_at(api, hook_id, now) == signed_at(api, hook_id, end - 1) == signed(profile, OLD)
        assert signed_at(api, hook_id, end + 1) == signed(profile, NEW)
        second = await post(api.client, f"/hooks/{hook_id}/secret", {"secret": NEWEST, "keep": "2h"})
        later = moment(second["expires_at"])
        assert "one after the other" in second["explanation"]
        at = (now, end + 1, later - 1, later + 1)
        assert [signed_at(api, hook_id, each) for each in at] == [
            signed(profile, each) for each in (OLD, NEW, NEW, NEWEST)
        ]


async def test_where_all_secrets_sign_both_do_until_the_former_one_ends(history: SqlHistory):
    async with serving_api(history) as api:
        hook_id = await made(api.client, webhook(profile="stripe", secrets=[OLD]))
        told = await post(api.client, f"/hooks/{hook_id}/secret", {"secret": NEW, "keep": "1h"})
        assert told["together"]
        assert moment(told["starts_at"]) <= time.time() < moment(told["expires_at"])
        assert "sign together" in told["explanation"]
        assert signed_at(api, hook_id, time.time()) == signed("stripe", NEW, OLD)
        assert signed_at(api, hook_id, moment(told["expires_at"]) + 1) == signed("stripe", NEW)


async def test_a_receiver_of_either_signature_of_phlix_finds_the_former_one_and_the_newer_one_both(
    history: SqlHistory,
):
    async with serving_api(history) as api:
        hook_id = await made(api.client, webhook(profile="phlix", secrets=[OLD]))
        told = await post(api.client, f"/hooks/{hook_id}/secret", {"secret": NEW, "keep": "1h"})
        assert "X-Phlix-Signature with the former secret alone" in told["explanation"]
        now = signed_at(api, hook_id, time.time())
        assert now["X-Phlix-Signature"] == signed("phlix", OLD)["X-Phlix-Signature"]
        assert now["X-Phlix-Signature-V2"] == signed("phlix", OLD, NEW)["X-Phlix-Signature-V2"]
        assert signed_at(api, hook_id, moment(told["expires_at"]) + 1) == signed("phlix", NEW)


@pytest.mark.parametrize("profile", ["splynx", "standard"])
async def test_at_once_means_that_the_former_secret_signs_nothing_more(history: SqlHistory, profile: str):
    secret = SECRET if profile == "standard" else OLD
    async with serving_api(history) as api:
        hook_id = await made(api.client, webhook(profile=profile, secrets=[secret]))
        told = await post(api.client, f"/hooks/{hook_id}/secret", {"keep": 0})
        assert (told["expires_at"], told["together"]) == (None, False)
        assert told["explanation"] == "the new secret signs alone from now on"
        assert signed_at(api, hook_id, time.time()) == signed(profile, told["secret"])
