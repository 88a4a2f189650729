"""Hooks made on a running bridge: what they deliver, what survives a restart, and with which keys."""

import json
import time
from pathlib import Path
from typing import Any

from bridge.core.inlet import Verifier
from bridge.signing.profiles import verifier
from bridge.signing.shapes import SignedRequest, VerificationFailure
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, Received, status
from tests.support.operating import HTTP, Operator, operating
from tests.support.scene import Scene
from tests.support.waiting import until

SECRET = "whsec_" + "QUJD" * 8
OLD_KEY, NEW_KEY = "the key of last year", "the key of this year"


def verified(received: Received, secret: str) -> bool:
    """Whether a receiver that knows this secret takes the request."""
    check = verifier(Verifier.model_validate({"type": "standard", "secret": secret}))
    fields = {name.lower(): value for name, value in received.headers.items()}
    request = SignedRequest(received.body, fields, "POST", received.path)
    return not isinstance(check(request, time.time()), VerificationFailure)


async def made(scene: Scene, operator: Operator, **fields: Any) -> str:
    """The id of a hook made through the API."""
    body = scene.webhook("crm", target_profile="standard", target_secrets=[SECRET], **fields)
    hook_id: str = (await operator.post("/hooks", body, status=201))["id"]
    scene.made.append(scene.lane(hook_id))
    return hook_id


async def delivered(scene: Scene, source: str, bridge: BridgeProcess) -> Received:
    """The request that a further event comes to."""
    before = len(scene.endpoint.received("/crm"))
    await scene.queues.publish(source, [json.dumps({"n": before}).encode()])
    await until(lambda: len(scene.endpoint.received("/crm")) > before, what=bridge.last_words)
    return scene.endpoint.received("/crm")[-1]


async def test_a_hook_made_on_a_running_bridge_gets_the_next_event_and_outlives_a_restart(scene: Scene):
    source = await scene.queue()
    async with scene.bridge([], source, http=HTTP) as bridge:
        async with operating(bridge) as operator:
            await made(scene, operator)
            assert verified(await delivered(scene, source, bridge), SECRET)
        await bridge.stop()
        await bridge.start()
        assert verified(await delivered(scene, source, bridge), SECRET)


async def test_both_secrets_sign_until_the_former_one_ends_by_itself_between_two_attempts(scene: Scene):
    source = await scene.queue()
    async with scene.bridge([], source, http=HTTP) as bridge, operating(bridge) as operator:
        hook_id = await made(scene, operator, retry={"schedule": ["3s"], "jitter": 0})
        rotated = await operator.post(f"/hooks/{hook_id}/secret", {"keep": "2s"})
        assert rotated["expires_at"] is not None
        scene.endpoint.script("/crm", status(500), OK)
        received = await delivered(scene, source, bridge)
        assert verified(received, rotated["secret"])
        assert verified(received, SECRET)
        retried = await until(lambda: scene.endpoint.received("/crm")[1:], what=bridge.last_words)
        assert verified(retried[0], rotated["secret"])
        assert not verified(retried[0], SECRET)
        assert retried[0].headers["webhook-id"] == received.headers["webhook-id"]


async def test_keys_are_changed_by_putting_a_new_one_in_front(scene: Scene):
    source = await scene.queue()
    token = {"admin_token": HTTP["admin_token"]}
    async with scene.bridge([], source, http=token) as bridge:
        async with operating(bridge) as operator:
            await made(scene, operator)
        assert not bridge.said("hooks.sealed_with_admin_token")  # there was nothing to lose
        await bridge.stop()
        await bridge.start()
        assert bridge.said("hooks.sealed_with_admin_token")
        for keys in ([OLD_KEY], [NEW_KEY, OLD_KEY], [NEW_KEY]):
            await bridge.stop()
            bridge.write(storage={**bridge.settings["storage"], "encryption_keys": keys})
            await bridge.start()
            assert verified(await delivered(scene, source, bridge), SECRET)
        assert SECRET.encode() not in everything(scene.folder)


def everything(folder: Path) -> bytes:
    """All that the database's files hold, and the log."""
    return b"".join(file.read_bytes() for file in sorted(folder.glob("bridge*")) if file.is_file())


async def test_without_its_key_a_hook_waits_while_the_others_work_until_the_key_is_back(scene: Scene):
    source, sound = await scene.queue(), scene.webhook("sound")
    async with scene.prepared([sound], source, http=HTTP, storage={"encryption_keys": [OLD_KEY]}) as bridge:
        await bridge.start()
        async with operating(bridge) as operator:
            hook_id = await made(scene, operator)
        await bridge.stop()
        bridge.write(storage={**bridge.settings["storage"], "encryption_keys": [NEW_KEY]})
        await bridge.start()
        await scene.queues.publish(source, [b'{"n":1}'])
        await until(lambda: bridge.history.statuses("sound")["SUCCESS"] == 1, what=bridge.last_words)
        await until(lambda: bridge.history.reasons(hook_id) == {("PENDING", "broken"): 1})
        async with operating(bridge) as operator:
            await cannot_be_changed_in_part(operator, hook_id)
        assert scene.endpoint.received("/crm") == []
        await bridge.stop()
        bridge.write(storage={**bridge.settings["storage"], "encryption_keys": [NEW_KEY, OLD_KEY]})
        await bridge.start()
        await until(lambda: scene.endpoint.received("/crm"), what=bridge.last_words)
        assert verified(scene.endpoint.received("/crm")[0], SECRET)


async def cannot_be_changed_in_part(operator: Operator, hook_id: str) -> None:
    """What is not known of it would be lost."""
    shown = await operator.get(f"/hooks/{hook_id}")
    assert "storage.encryption_keys" in shown["state"]["broken"]
    assert shown["target"] == {"type": "webhook"}
    for deed in ("pause", "disable", "secret"):
        answer = await operator.post(f"/hooks/{hook_id}/{deed}", status=409)
        assert "storage.encryption_keys" in answer["detail"]
    assert (await operator.ask("PATCH", f"/hooks/{hook_id}", {"rate": "5/s"})).status == 409
    kept = {"type": "webhook", "url": "http://127.0.0.1/crm", "secrets": ["***"]}
    assert (await operator.ask("PUT", f"/hooks/{hook_id}", {"name": "crm", "target": kept})).status == 422
