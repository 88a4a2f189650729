"""Fills a bridge: hooks in each state, hostile events and answers, refused messages, a replay, tokens."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from tests.support.endpoint import status
from tests.support.scene import Scene
from tests.support.waiting import until
from tests.ui_check.hostile import TEXTS, body, short
from tests.ui_check.subject import PREFIX, Subject

ROLES = ("viewer", "operator", "admin")
FILE_HOOK = f"{PREFIX}-file"
STRICT = "strict"
"""The source of our own bridge that refuses what is not of its format."""
FAILING = f"{PREFIX}-failing"
PAUSED = f"{PREFIX}-paused"
GOOD = f"{PREFIX}-good"
HOOKS = (FAILING, PAUSED, GOOD)
HOSTILE = "<img src=x onerror=uiCheckRan()>\u202e</script>{{7*7}}"
_FAILED = 5
TOKEN = "ui-check-Geheimnis-5517"


@asynccontextmanager
async def own_bridge(scene: Scene) -> AsyncIterator[tuple[Any, str]]:
    """A bridge of our own and its queue; the receiver answers failures with markup."""
    queue = await scene.queue()
    scene.endpoint.script(f"/{FAILING}", status(503, HOSTILE.encode(), X_Note="<b>note</b>"))
    sections = {
        "http": {"admin_token": TOKEN},
        "storage": {"encryption_keys": ["a key for the check of the UI"]},
    }
    schema = {"type": "object", "required": ["mended"]}
    (scene.folder / "strict.json").write_text(json.dumps(schema), encoding="utf-8")
    strict = await scene.queue(STRICT)
    sources = [{"name": "main", "queue": queue}, {"name": STRICT, "queue": strict, "schema": "strict.json"}]
    async with scene.bridge([scene.webhook(FILE_HOOK)], sources, **sections) as bridge:
        scene.made += [scene.lane(name) for name in HOOKS]
        yield bridge, queue


def hook(name: str, url: str, **fields: Any) -> Mapping[str, Any]:
    """A hook for the API, with markup where it may have text of people."""
    return {
        "name": name,
        "description": f"{HOSTILE} {name}",
        "events": ["*"],
        "retry": {"schedule": ["1h"]},
        "target": {"type": "webhook", "url": url, "headers": {"X-Note": "<b>note</b> {{7*7}}"}},
        **fields,
    }


async def fill(subject: Subject) -> None:
    """Makes everything, and notes what was made in `subject.seeded`."""
    await clear(subject)
    subject.seeded["tokens"] = {}
    for role in ROLES:
        code, made = await subject.api("POST", "/tokens", {"name": f"{PREFIX}-{role}", "role": role})
        assert code == 201, made
        subject.seeded["tokens"][role] = made["token"]
    await _hooks(subject)
    if subject.scene:
        await _publish(subject)
    else:
        await _publish_by_api(subject)
    await _settled(subject)
    code, replay = await subject.api("POST", "/replays", {"filter": {"hook": GOOD, "status": ["SUCCESS"]}})
    assert code == 201, replay
    subject.seeded["replay"] = replay["id"]
    await _note(subject)


async def clear(subject: Subject) -> None:
    """Removes hooks and tokens that a check made, this one or one that was ended before."""
    for each in await subject.items("/hooks?limit=200&q=" + PREFIX):
        if each["managed_by"] == "api" and each["name"].startswith(PREFIX):
            await subject.api("DELETE", f"/hooks/{each['name']}")
    for each in await subject.items("/tokens"):
        if each["name"].startswith(PREFIX):
            await subject.api("DELETE", f"/tokens/{quote(each['id'], safe='')}")


async def _hooks(subject: Subject) -> None:
    for name in HOOKS:
        url = subject.scene.endpoint.url(f"/{name}") if subject.scene else f"https://{PREFIX}.invalid/{name}"
        code, made = await subject.api("POST", "/hooks", hook(name, url))
        assert code == 201, made
    code, told = await subject.api("POST", f"/hooks/{PAUSED}/pause", {"reason": HOSTILE})
    assert code == 200, told
    code, told = await subject.api("PATCH", f"/hooks/{GOOD}", {"description": "second version"})
    assert code in {200, 415}, told


async def _publish(subject: Subject) -> None:
    """Events and refused messages with each text in each field of a message."""
    assert subject.scene
    for text in TEXTS:
        kept = short(text)
        properties = {"message_type": kept, "message_id": kept, "app_id": kept, "correlation_id": kept}
        await subject.scene.queues.publish(
            subject.source, [body(text)], {short(f"x-{text}")[:60]: kept, "x-note": kept}, **properties
        )
    for text in TEXTS[:10]:
        await subject.scene.queues.publish(
            f"{STRICT} {subject.scene.token}",
            [text.encode()],
            {"x-note": text},
            content_type="application/json",
        )


async def _publish_by_api(subject: Subject) -> None:
    source = (await subject.items("/sources"))[0]["name"]
    for text in TEXTS:
        given = {
            "source": source,
            "type": short(text) or "x",
            "message_id": short(text) or "x",
            "body_base64": b64encode(body(text)).decode(),
            "content_type": "application/json",
            "headers": {"x-note": text},
        }
        await subject.api("POST", "/events", given)


async def _settled(subject: Subject) -> None:
    async def look() -> bool:
        failing = await subject.items(f"/deliveries?hook={FAILING}&status=RETRYING,FAILED")
        # Of the failing hook the rest waits for its breaker.
        done = await subject.items(f"/deliveries?hook={FILE_HOOK}&limit=200") if subject.scene else TEXTS
        refused = await subject.items("/quarantine") if subject.scene else TEXTS
        return len(failing) >= _FAILED and len(done) >= len(TEXTS) and bool(refused)

    await until(look, 40, what=lambda: subject.bridge.last_words() if subject.bridge else "nothing failed")


async def _note(subject: Subject) -> None:
    """Notes an id of each kind, for the paths of pages."""
    seeded = subject.seeded
    hooks = {each["name"]: each["id"] for each in await subject.items("/hooks?limit=200&q=" + PREFIX)}
    seeded["hooks"] = hooks
    seeded["deliveries"] = (await subject.items(f"/deliveries?hook={FAILING}"))[0]["id"]
    seeded["events"] = (await subject.items("/events"))[0]["id"]
    refused = await subject.items("/quarantine")
    seeded["quarantine"] = refused[0]["id"] if refused else ""
