"""Scripts written for Splynx's own hooks, run by the bridge: unchanged, from the source and out of a lane."""

import hashlib
import hmac
import os
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.command import amqp_bridge
from tests.support.scene import Scene
from tests.support.waiting import until

DATA = Path(__file__).parents[1] / "data"
SCRIPTS = DATA / "splynx_scripts"
CREATED = (DATA / "publishers" / "splynx" / "queue_customer_create.json").read_bytes()
UPDATED = (DATA / "publishers" / "splynx" / "webhook_event_customer_update_unicode.json").read_bytes()


def inner(body: bytes) -> bytes:
    """What stands in a message of Splynx behind `"data":`, as it is written there."""
    return body.strip()[:-1].partition(b'"data":')[2]


def script(name: str, *command: str, **fields: Any) -> dict[str, Any]:
    """A hook with a script; fields of the target have names with `target_`."""
    target = {
        key.removeprefix("target_"): fields.pop(key) for key in list(fields) if key.startswith("target_")
    }
    whole = {"type": "script", "command": list(command), **target}
    return {"name": name, "retry": {"preset": "none"}, **fields, "target": whole}


def written(folder: Path, name: str, text: str) -> str:
    """A script of the test's own."""
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def splynx(queue: str) -> list[dict[str, Any]]:
    return [{"name": "splynx", "queue": queue, "format": "splynx"}]


@pytest.fixture
def mta(tmp_path: Path) -> tuple[str, Path]:
    """A PATH with a sendmail in it, and the folder where it puts the mails."""
    mails = tmp_path / "mails"
    mails.mkdir()
    (tmp_path / "bin").mkdir()
    written(
        tmp_path / "bin",
        "sendmail",
        f'#!/bin/sh\ncat >"{mails}/part.$$"\nmv "{mails}/part.$$" "{mails}/mail.$$"\n',
    )
    return f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", mails


def hooks_with_mail(path: str) -> list[dict[str, Any]]:
    """Hooks for what this machine can run."""
    made = []
    if shutil.which("php") == "/usr/bin/php":
        made.append(script("php", str(SCRIPTS / "new_customer.php"), target_env={"PATH": path}))
    if shutil.which("jq"):
        made.append(script("shell", str(SCRIPTS / "new_customer.sh"), target_env={"PATH": path}))
    return made


async def test_scripts_of_one_event_all_run_and_one_that_fails_does_not_stop_the_others(
    scene: Scene, mta: tuple[str, Path]
):
    path, mails = mta
    senders = hooks_with_mail(path)
    if not senders:
        pytest.skip("neither /usr/bin/php nor jq: apt-get install php-cli jq")
    failing = script("failing", "sh", "-c", "cat; exit 1", events=["customers.customer.create"])
    other = script("other", "sh", "-c", "touch wrong", events=["customers.customer.delete"])
    queue = await scene.queue("hooks2")
    await scene.queues.publish(queue, [CREATED])
    async with scene.bridge([failing, *senders, other], splynx(queue)) as bridge:
        await until(lambda: bridge.metric("events_settled_total", result="acked"), what=bridge.last_words)
        await bridge.stop()
    for hook in senders:
        assert bridge.history.statuses(hook["name"]) == {"SUCCESS": 1}, output(bridge, hook["name"])
    assert bridge.history.statuses("failing") == {"FAILED": 1}
    assert output(bridge, "failing") == [inner(CREATED) + b"\n"]
    assert bridge.history.statuses("other") == {}
    sent = [mail.read_text() for mail in mails.iterdir()]
    assert len(sent) == len(senders)
    for mail in sent:
        assert mail.startswith("To: admin@example.net\nSubject: create by admin")
        assert r"models\admin\customers\Customer: Dewey, Cheatham & Howe" in mail


def output(bridge: BridgeProcess, hook: str) -> list[bytes]:
    """What the attempts of this hook printed, in order."""
    rows = bridge.history.rows(
        "SELECT response FROM attempts JOIN deliveries ON deliveries.id = delivery_id WHERE hook = ? ORDER BY number",
        hook,
    )
    return [str(response).encode() for (response,) in rows]


@pytest.mark.parametrize("body", [CREATED, UPDATED], ids=["created", "unicode"])
async def test_a_retry_out_of_the_lane_reads_the_same_line_as_the_first_attempt(scene: Scene, body: bytes):
    queue = await scene.queue("hooks2")
    # One line, and nothing after it. The third attempt succeeds.
    text = '#!/bin/bash\nread -r line\nprintf "%s|" "$line"\ncat\n[ "$BRIDGE_ATTEMPT" = 3 ]\n'
    retry = {"schedule": ["0s"], "max_attempts": 3, "jitter": 0}
    hook = script("again", written(scene.folder, "again.sh", text), retry=retry)
    async with scene.bridge([hook], splynx(queue)) as bridge:
        await scene.queues.publish(queue, [body])
        await until(lambda: bridge.metric("deliveries_total", status="SUCCESS"), what=bridge.last_words)
        await bridge.stop()
    assert output(bridge, "again") == [inner(body) + b"|"] * 3


async def test_a_script_is_told_what_happened_where_and_for_whom(scene: Scene):
    queue = await scene.queue("hooks2")
    text = '#!/bin/sh\nenv | grep ^BRIDGE_ | grep -v ^BRIDGE_RUN= | sort\n[ "$BRIDGE_ATTEMPT" = 2 ]\n'
    retry = {"schedule": ["0s"], "max_attempts": 2, "jitter": 0}
    hook = script("teller", written(scene.folder, "teller.sh", text), retry=retry)
    verifier = {"header": "X-Signature", "type": "hex", "secret": "hunter2", "user": "webmaster"}
    inlet = {"name": "in", "path": "/splynx", "source": "splynx", "verify": [verifier]}
    async with scene.prepared([hook], splynx(queue)) as bridge:
        bridge.write(inlets=[inlet])
        await bridge.start()
        await scene.queues.publish(queue, [CREATED])
        await until(lambda: bridge.metric("deliveries_total", status="SUCCESS"), what=bridge.last_words)
        await post(f"{bridge.url}/splynx", CREATED, hmac.new(b"hunter2", CREATED, hashlib.sha256).hexdigest())
        await until(
            lambda: succeeded(bridge, 2),
            what=bridge.last_words,
        )
        await bridge.stop()
    told = [
        dict(line.partition("=")[::2] for line in text.decode().splitlines())
        for text in output(bridge, "teller")
    ]
    ids = [event for (event,) in bridge.history.rows("SELECT id FROM events ORDER BY received_at")]
    expected = [
        {
            "BRIDGE_EVENT_TYPE": "customers.customer.create",
            "BRIDGE_EVENT_ID": event,
            "BRIDGE_SOURCE": "splynx",
            "BRIDGE_HOOK": "teller",
            "BRIDGE_ATTEMPT": attempt,
            "BRIDGE_USER": user,
        }
        for attempt in ("1", "2")
        for event, user in zip(ids, ["", "webmaster"], strict=True)
    ]
    assert sorted(map(in_order, told)) == sorted(map(in_order, expected))


def in_order(environment: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(environment.items())


async def succeeded(bridge: BridgeProcess, deliveries: int) -> bool:
    return await bridge.metric("deliveries_total", status="SUCCESS") == deliveries


async def post(url: str, body: bytes, signature: str) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await session.post(url, data=body, headers={"X-Signature": signature})
        assert answer.status == 200, await answer.text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_hook_may_run_its_script_as_another_user(scene: Scene):
    queue = await scene.queue("hooks2")
    hooks = [
        script("nobody", "sh", "-c", "id -un; umask", target_user="nobody", target_umask="077"),
        script("ourselves", "id", "-un"),
    ]
    await scene.queues.publish(queue, [CREATED])
    async with scene.bridge(hooks, splynx(queue)) as bridge:
        await until(lambda: succeeded(bridge, 2), what=bridge.last_words)
        await bridge.stop()
    assert output(bridge, "nobody") == [b"nobody\n0077\n"]
    assert output(bridge, "ourselves") == [b"root\n"]


def test_check_says_what_is_wrong_with_a_script_before_it_is_needed(tmp_path: Path):
    (tmp_path / "copied.php").write_bytes(b"#!/bin/sh\r\n")
    (tmp_path / "copied.php").chmod(0o755)
    (tmp_path / "fresh.php").write_text("#!/bin/sh\n")
    (tmp_path / "bridge.yaml").write_text(
        "sources: [{name: splynx, queue: hooks2}]\n"
        "hooks:\n"
        "  - {name: a, target: {type: script, command: [./copied.php]}}\n"
        "  - {name: b, target: {type: script, command: [./fresh.php]}}\n"
    )
    ended = amqp_bridge("check", cwd=tmp_path)
    assert ended.code == 2
    first, second = ended.err.splitlines()
    assert first.endswith(rf"run: sed -i 's/\r$//' {tmp_path}/copied.php")
    assert second.endswith(f"is not executable; run: chmod 755 {tmp_path}/fresh.php")


def test_the_scripts_have_the_mode_that_splynx_asks_for():
    assert {path.stat().st_mode & 0o777 for path in SCRIPTS.iterdir()} == {0o755}
    assert {path.suffix for path in SCRIPTS.iterdir()} == {".php", ".sh"}
