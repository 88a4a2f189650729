"""Secrets are planted everywhere, everything goes wrong, and nothing that comes out shows one."""

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.canaries import Canaries
from tests.support.command import amqp_bridge
from tests.support.endpoint import status
from tests.support.operating import TOKEN, Operator, operating
from tests.support.scene import Scene
from tests.support.waiting import until

DEAD = "127.0.0.1:9"
NONE = {"preset": "none"}
LOOKS = (
    *("hooks", "events", "deliveries", "sources", "replicas", "replays", "quarantine", "audit", "tokens"),
    *("tokens/me", "me", "stats", "stats/dimensions", "stats/measures", "admin/webhooks"),
    "admin/webhooks/deliveries",
)


@pytest.fixture
def canary() -> Canaries:
    """Where they are planted."""
    return Canaries()


def webhook(name: str, url: str, canary: Canaries, **target: Any) -> dict[str, Any]:
    whole = {
        "type": "webhook",
        "url": f"{url}?api_key={canary('query-' + name)}",
        "profile": "generic",
        "secrets": [canary("secret-" + name), canary("second-secret-" + name)],
        "headers": {"X-Api-Key": canary("header-" + name)},
        "timeout": 3,
        **target,
    }
    return {"name": name, "retry": NONE, "target": whole}


def hooks(scene: Scene, canary: Canaries, plain: str) -> list[dict[str, Any]]:
    """One of each kind, and for each way in which a webhook fails."""
    oauth = {
        "type": "oauth2",
        "token_url": f"{plain}/token?key={canary('token-query')}",
        "client_id": "me",
        "client_secret": canary("client-secret"),
    }
    basic = {"type": "basic", "username": "me", "password": canary("basic")}
    bearer = {"type": "bearer", "token": canary("bearer")}
    authorization = {"Authorization": f"Token {canary('authorization')}", "Cookie": canary("cookie")}
    proxy = f"http://me:{canary('proxy')}@{DEAD}"
    tls = plain.replace("http:", "https:")
    template = "{{ event.data.missing }}"
    script = {
        "command": ["./hook.sh", f"--password={canary('argument')}"],
        "env": {"DB_PASSWORD": canary("script-env")},
    }
    notify = [
        f"json://me:{canary('notify')}@{DEAD}/x",
        f"mailto://me:{canary('mail')}@{DEAD}/a@b.net?from=c@d.net",
    ]
    return [
        webhook("gone", f"http://{DEAD}/x", canary, auth=basic),
        webhook("tls", f"{tls}/x", canary, auth=bearer),
        webhook("wrong", f"{plain}/wrong", canary, headers=authorization),
        webhook("nowhere", "http://no-such-host.invalid/x", canary),
        webhook("proxied", "http://192.0.2.1/x", canary, proxy=proxy),
        webhook("oauth", f"{plain}/x", canary, auth=oauth),
        webhook("private", "http://10.1.2.3/x", canary),
        webhook("form", f"{plain}/x", canary, body="template", template=template),
        {"name": "script", "retry": NONE, "target": {"type": "script", **script}},
        {"name": "notify", "retry": NONE, "target": {"type": "notify", "urls": notify, "timeout": 3}},
        {
            "name": "copies",
            "retry": NONE,
            "target": {"type": "queue", "queue": "x", "broker": "other", "timeout": 1},
        },
        {
            "name": "told",
            "sources": ["bridge"],
            "target": {"type": "queue", "queue": f"told {scene.token}", "declare": True},
        },
    ]


def settings(scene: Scene, canary: Canaries) -> dict[str, Any]:
    """The sections besides sources and hooks."""
    here = scene.amqp_url
    address = here.rpartition("@")[2]
    return {
        "broker": {"url": [f"amqp://me:{canary('broker')}@{DEAD}/", here], "prefix": scene.prefix},
        "brokers": {"other": {"url": f"amqp://me:{canary('other-broker')}@{address}"}},
        "storage": {
            "url": f"sqlite:///{scene.folder / 'bridge.db'}",
            "encryption_keys": [canary("key"), canary("former-key")],
        },
        "http": {
            "listen": "127.0.0.1:0",
            "admin_token": TOKEN,
            "allow_private_targets": ["127.0.0.0/8", "192.0.2.0/24"],
            "allow_scripts": True,
        },
        "log": {"format": "json", "level": "debug"},
    }


def inlets(canary: Canaries) -> list[dict[str, Any]]:
    """One that nobody passes."""
    verify = [
        {"header": "X-Signature", "type": "hex", "secret": canary("inlet"), "user": "web"},
        {"header": "Authorization", "type": "basic", "secret": f"me:{canary('inlet-basic')}"},
    ]
    return [{"name": "in", "path": "/in-path", "source": "main", "verify": verify}]


SCRIPT = """#!/bin/sh
tr '\\0' '\\n' </proc/self/environ >environ
tr '\\0' '\\n' </proc/$PPID/cmdline >cmdline
ls -l /proc/self/fd >fds
exit 1
"""


def script(folder: Path) -> None:
    """The program of the hook that runs one."""
    (folder / "hook.sh").write_text(SCRIPT)
    (folder / "hook.sh").chmod(0o755)


async def misuse(operator: Operator, canary: Canaries) -> dict[str, str]:
    """What people get wrong, and what they are answered."""
    bridge = operator.bridge
    answers = {}
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/hooks", {"name": "a b", "target": {"type": "webhook", "secrets": canary("not-a-list")}}),
        ("POST", "/hooks", b'{"name": "x", "target": {"secrets": ["' + canary("not-json").encode()),
        (
            "POST",
            "/hooks",
            {"name": "x", "target": {"type": "fax", "secrets": [canary("of-no-type")]}},
        ),
        ("PATCH", "/hooks/api", {"target": {"auth": {"type": "basic", "pasword": canary("misspelt")}}}),
        ("PATCH", "/hooks/api", {"target": {"proxy": f"ftp://me:{canary('bad-proxy')}@h"}}),
        ("POST", "/hooks/api/secret", {"secret": canary("too-short")[:9], "keep": "long"}),
        ("POST", "/hooks", webhook("x", f"http://me:{canary('userinfo')}@h/", canary)),
        ("POST", "/hooks", webhook("y", f"http://h:{canary('port')}/", canary)),
        ("POST", "/hooks", {"name": "z", "target": {"type": "notify", "urls": [f"fax://{canary('fax')}"]}}),
        ("POST", "/tokens", {"name": "t", "role": "king", "token": canary("brought")}),
        ("POST", "/hooks/api/test", {"type": "a.b", "data": {}}),
    ]
    for number, (method, path, body) in enumerate(bodies):
        answer = await operator.ask(method, path, body)
        answers[f"misuse {number} {method} {path}"] = str(answer)
    async with aiohttp.ClientSession() as session:
        for place, headers in {
            "wrong-token": {"Authorization": f"Bearer {canary('wrong-token')}"},
            "wrong-basic": {"Authorization": f"Basic {canary('wrong-basic')}"},
            "wrong-signature": {"X-Signature": canary("wrong-signature")},
        }.items():
            for path in ("/api/v1/hooks", "/in-path", "/metrics"):
                async with session.post(bridge.url + path, headers=headers, data=b"{}") as reply:
                    answers[f"{place} {path}"] = str(reply.headers) + await reply.text()
    return answers


async def looked_at(operator: Operator) -> dict[str, str]:
    """Every GET of the API, and every page without a token."""
    shown = {path: str(await operator.ask("GET", f"/{path}")) for path in LOOKS}
    for hook in (await operator.get("/hooks"))["items"]:
        for path in (f"/hooks/{hook['id']}", f"/hooks/{hook['id']}/stats"):
            shown[path] = str(await operator.ask("GET", path))
    for delivery in (await operator.get("/deliveries?limit=100"))["items"]:
        shown[delivery["hook"]] = str(await operator.ask("GET", f"/deliveries/{delivery['id']}"))
    for event in (await operator.get("/events?limit=100"))["items"]:
        shown["event " + event["id"]] = str(await operator.ask("GET", f"/events/{event['id']}?explain=true"))
    explained = {"type": "a.b", "source": "main", "data": {}}
    shown["explain"] = str(await operator.ask("POST", "/explain", explained))
    async with aiohttp.ClientSession() as session:
        for path in ("/metrics", "/health/ready", "/openapi.json", "/docs", "/nothing"):
            async with session.get(operator.bridge.url + path) as answer:
                shown[path] = await answer.text()
    return shown


def processes(bridge: BridgeProcess) -> dict[str, str]:
    """What the list of processes tells."""
    whole = psutil.Process(bridge.pid)
    return {f"cmdline {each.pid}": str(each.cmdline()) for each in (whole, *whole.children(recursive=True))}


def commands(folder: Path, canary: Canaries) -> dict[str, str | bytes]:
    """What the command line says of the file where neither broker nor database is to be had."""
    (folder / "message.json").write_text('{"a": 1}')
    environment = {"BRIDGE_STORAGE__URL": f"postgresql://me:{canary('database')}@{DEAD}/x"}
    login = {"token_url": f"http://{DEAD}/", "client_id": "me", "client_secret": canary("broker-client")}
    by_token = {"BRIDGE_BROKER__AUTH": "oauth2", "BRIDGE_BROKER__OAUTH2": json.dumps(login)}
    asked: dict[str, tuple[tuple[str, ...], int, dict[str, str]]] = {
        "inspect": (("inspect", "--json", "message.json"), 0, {}),
        "doctor": (("--debug", "doctor"), 1, by_token),
        "run": (("--debug", "run"), 1, {}),
    }
    told: dict[str, str | bytes] = {}
    for name, (arguments, code, more) in asked.items():
        ended = amqp_bridge(*arguments, cwd=folder, env=environment | more)
        assert ended.code == code, ended.err
        told[name] = ended.out + ended.err
    assert "Traceback" in str(told["run"])
    return told


async def test_no_command_shows_a_secret_of_the_configuration_whatever_is_out_of_reach(
    scene: Scene, canary: Canaries
) -> None:
    script(scene.folder)
    async with scene.prepared(
        hooks(scene, canary, f"http://{DEAD}"), "any", **settings(scene, canary)
    ) as bridge:
        bridge.write(inlets=inlets(canary))
        shown = await asyncio.to_thread(commands, scene.folder, canary)
    assert len(canary.planted) > 40
    assert canary.seen_in(shown) == []


async def test_no_secret_shows_in_anything_that_comes_out_whatever_goes_wrong(
    scene: Scene, canary: Canaries
) -> None:
    canary.planted["admin-token"] = TOKEN
    script(scene.folder)
    scene.endpoint.script("/wrong", status(401))
    scene.endpoint.script("/token", status(500), status(401))
    queue = await scene.queue()
    scene.made.append(f"told {scene.token}")
    made = hooks(scene, canary, scene.endpoint.url("").rstrip("/"))
    shown: dict[str, str | bytes] = {}
    async with (
        scene.prepared(made, queue, **settings(scene, canary)) as bridge,
        operating(bridge) as operator,
    ):
        bridge.from_nothing = True  # its command line is looked at
        bridge.write(inlets=inlets(canary))
        await bridge.launch()
        assert await bridge.ended() == 1
        shown["refused at the start"] = bridge.log_text
        dead = f"amqp://me:{canary('dead-broker')}@{DEAD}/"
        bridge.write(brokers={"other": {"url": [dead, scene.amqp_url]}})
        await bridge.start()
        await scene.queues.publish(queue, [b'{"n": 1}', b"not json", b'{"n": 2}'])
        await until(lambda: all_failed(bridge, made), 25, what=bridge.last_words)
        shown |= await use(operator, canary)
        shown |= await misuse(operator, canary)
        shown |= processes(bridge) | await looked_at(operator)
        told = await scene.queues.take_all(f"told {scene.token}")
        assert told
        shown["meta events"] = b"".join(message.body for message in told)
        shown |= await crash(bridge, canary)
    shown |= seen_by_the_script(scene.folder, canary)
    assert len(canary.planted) > 50
    assert canary.seen_in(shown) == []


async def use(operator: Operator, canary: Canaries) -> dict[str, str]:
    """What an operator rightly does; a secret that is made is shown this once."""
    auth = {"type": "bearer", "token": canary("api-bearer")}
    await operator.post("/hooks", webhook("api", f"http://{DEAD}/x", canary, auth=auth), status=201)
    rotated = await operator.post("/hooks/api/secret", {"secret": canary("rotated"), "keep": "1h"})
    assert canary("rotated") == rotated.pop("secret")
    made_token = await operator.post("/tokens", {"name": "t", "role": "viewer"}, status=201)
    canary.planted["made-token"] = made_token.pop("token")
    await operator.post("/hooks/gone/pause", {"reason": "so"})
    return {"rotated": str(rotated), "made": str(made_token)}


async def crash(bridge: BridgeProcess, canary: Canaries) -> dict[str, str | bytes]:
    """Log and database of a bridge that ended as badly as can be, with the traceback of every thread."""
    bridge.write(hooks=[{"name": "bad", "target": {"type": "webhook", "secrets": canary("reloaded")}}])
    bridge.hang_up()
    await until(lambda: bridge.said("hook.broken"), what=bridge.last_words)
    os.kill(bridge.pid, signal.SIGABRT)
    assert await bridge.ended() == -signal.SIGABRT
    assert "Current thread" in bridge.log_text
    return {"log": bridge.log_text} | {
        file.name: file.read_bytes() for file in bridge.folder.glob("bridge.db*")
    }


def seen_by_the_script(folder: Path, canary: Canaries) -> dict[str, str]:
    """Its environment without what is its own, and the bridge's command line."""
    environ, fds, cmdline = ((folder / name).read_text() for name in ("environ", "fds", "cmdline"))
    assert canary("script-env") in environ
    assert environ.count("BRIDGE_") == 7
    assert "socket:" not in fds
    assert "bridge.db" not in fds
    return {"environment": environ.replace(canary("script-env"), ""), "command line": cmdline}


def all_failed(bridge: BridgeProcess, made: list[dict[str, Any]]) -> bool:
    """Every hook had something to fail at."""
    names = [hook["name"] for hook in made if hook["name"] != "told"]
    return bridge.history.unfinished() == 0 and all(bridge.history.statuses(name)["FAILED"] for name in names)
