"""Secrets are planted everywhere, everything goes wrong, and nothing that comes out shows one."""

import asyncio
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


def commands(folder: Path, url: str, canary: Canaries) -> dict[str, str]:
    """What the command line says of the same file, also where the database is not to be had."""
    (folder / "message.json").write_text('{"a": 1}')
    environment = {
        "BRIDGE_TOKEN": TOKEN,
        "BRIDGE_STORAGE__URL": f"postgresql://me:{canary('database')}@{DEAD}/x?sslpassword={canary('ssl')}",
    }
    asked = (
        ("check", "--json"),
        ("--debug", "doctor"),
        ("inspect", "--json", "message.json"),
        ("--debug", "run"),
        ("hooks", "list", "--url", url, "--json"),
        ("hooks", "show", "gone", "--url", url),
    )
    told = {}
    for arguments in asked:
        ended = amqp_bridge(*arguments, cwd=folder, env=environment)
        told[" ".join(arguments)] = ended.out + ended.err
    assert "Traceback" in told["--debug run"]
    return told


async def test_no_secret_shows_in_anything_that_comes_out_whatever_goes_wrong(
    scene: Scene, canary: Canaries
) -> None:
    canary.planted["admin-token"] = TOKEN
    (scene.folder / "hook.sh").write_text(SCRIPT)
    (scene.folder / "hook.sh").chmod(0o755)
    scene.endpoint.script("/wrong", status(401))
    scene.endpoint.script("/token", status(500), status(401))
    plain = scene.endpoint.url("").rstrip("/")
    queue = await scene.queue()
    scene.made.append(f"told {scene.token}")
    made = hooks(scene, canary, plain)
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
        hook = webhook(
            "api", f"http://{DEAD}/x", canary, auth={"type": "bearer", "token": canary("api-bearer")}
        )
        await operator.post("/hooks", hook, status=201)
        rotated = await operator.post("/hooks/api/secret", {"secret": canary("rotated"), "keep": "1h"})
        assert canary("rotated") == rotated.pop("secret")
        made_token = await operator.post("/tokens", {"name": "t", "role": "viewer"}, status=201)
        canary.planted["made-token"] = made_token.pop("token")
        shown |= {"rotated": str(rotated), "made": str(made_token)}
        await scene.queues.publish(queue, [b'{"n": 1}', b"not json", b'{"n": 2}'])
        await operator.post("/hooks/gone/pause", {"reason": "so"})
        shown |= await misuse(operator, canary)
        await until(lambda: all_failed(bridge, made), 25, what=bridge.last_words)
        shown |= processes(bridge) | await looked_at(operator)
        shown |= await asyncio.to_thread(commands, scene.folder, bridge.url, canary)
        told = await scene.queues.take_all(f"told {scene.token}")
        assert told
        shown["meta events"] = b"".join(message.body for message in told)
        # A crash as bad as can be, with the traceback of every thread.
        os.kill(bridge.pid, signal.SIGABRT)
        assert await bridge.ended() == -signal.SIGABRT
        assert "Current thread" in bridge.log_text
        shown["log"] = bridge.log_text
        shown |= {file.name: file.read_bytes() for file in scene.folder.glob("bridge.db*")}
    assert len(canary.planted) > 50
    environ, fds = ((scene.folder / name).read_text() for name in ("environ", "fds"))
    assert canary("script-env") in environ
    assert environ.count("BRIDGE_") == 7
    assert "socket:" not in fds
    assert "bridge.db" not in fds
    shown["script's environment"] = environ.replace(canary("script-env"), "")
    shown["bridge's command line"] = (scene.folder / "cmdline").read_text()
    assert canary.seen_in(shown) == []


def all_failed(bridge: BridgeProcess, made: list[dict[str, Any]]) -> bool:
    """Every hook had something to fail at."""
    names = [hook["name"] for hook in made if hook["name"] not in {"told", "gone"}]
    return bridge.history.unfinished() == 0 and all(bridge.history.statuses(name)["FAILED"] for name in names)
