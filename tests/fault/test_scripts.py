"""Scripts that misbehave in every way they can, all in one bridge, beside one that behaves."""

import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="subreapers and prlimit are Linux's")

MIB = 1024 * 1024
BODY = b'{"filling": "%s"}' % (b"x" * (MIB + 1000))
AGAIN = {"schedule": ["0s"], "max_attempts": 2, "jitter": 0}
PYTHON = f"#!{sys.executable} -IS\n"

SCRIPTS = {
    "stubborn": """#!/bin/sh
trap '' TERM
sleep 300 & echo $! >>pids
setsid sleep 300 & echo $! >>pids
(setsid sh -c 'echo $$ >>pids; trap "" TERM; while :; do sleep 0.2; done' >/dev/null 2>&1 &)
echo $$ >>pids
while :; do sleep 0.2; done
""",
    "leaving": """#!/bin/sh
sleep 300 & echo $! >>pids
setsid sleep 300 & echo $! >>pids
(trap '' TERM; exec setsid sleep 300) & echo $! >>pids
""",
    "disguised": """#!/bin/sh
(env -i setsid /bin/sh -c 'echo $$ >>pids; exec sleep 300' >/dev/null 2>&1 &)
exec sleep 0.3
""",
    "deaf": "#!/bin/sh\nexec sleep 300\n",
    "incurious": "#!/bin/sh\nexit 0\n",
    "flood": "#!/bin/sh\nhead -c 1G /dev/zero\necho the end\n",
    "glutton": PYTHON + "print(len(bytearray(10 * 2**30)))\n",
    "hoarder": PYTHON + "held = [open('/dev/null') for _ in range(2_000_000)]\n",
    "silent": "#!/bin/sh\nexec >&- 2>&-\nexit 3\n",
    "stopped": "#!/bin/sh\nkill -STOP $$\n",
    "killed": "#!/bin/sh\nkill -KILL $$\n",
    "vanishing": '#!/bin/sh\nrm -- "$0"\nexit 1\n',
    "replaced": """#!/bin/sh
printf '#!/bin/sh\\necho new\\n' >"$0.new"; chmod 755 "$0.new"; mv "$0.new" "$0"
echo old; exit 1
""",
    "homeless": '#!/bin/sh\nrmdir "$PWD"\nexit 1\n',
}
SETTINGS: dict[str, dict[str, Any]] = {
    "deaf": {"stdin": "body", "timeout": 1},
    "incurious": {"stdin": "body"},
    "homeless": {"cwd": "home"},
    "stopped": {"timeout": 1},
    "stubborn": {"timeout": 1},
    "leaving": {"linger": "0.5s"},
}
# What the attempts of each come to: outcome, and what its error begins with.
EXPECTED = {
    "stubborn": [("timeout", "did not end within 1 s and was ended")],
    "leaving": [("delivered", "")],
    "disguised": [("delivered", "")],
    "deaf": [("timeout", "did not end within 1 s and was ended")],
    "incurious": [("delivered", "")],
    "flood": [("delivered", "")],
    "glutton": [("exit", "exit code 1")],
    "hoarder": [("exit", "exit code 1")],
    "silent": [("exit", "exit code 3")],
    "stopped": [("timeout", "did not end within 1 s and was ended")],
    "killed": [("signal", "ended by SIGKILL")],
    "vanishing": [("exit", "exit code 1"), ("spawn", "there is no file ")],
    "replaced": [("exit", "exit code 1"), ("delivered", "")],
    "homeless": [("exit", "exit code 1"), ("spawn", "{folder}/home: No such file or directory")],
}
RETRIED = {"vanishing", "replaced", "homeless"}


def script(folder: Path, name: str, text: str, **target: Any) -> dict[str, Any]:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)
    retry = AGAIN if name in RETRIED else {"preset": "none"}
    whole = {"type": "script", "command": [f"./{name}"], "timeout": 20, **target}
    return {"name": name, "events": ["bad"], "retry": retry, "target": whole}


def healthy(folder: Path) -> dict[str, Any]:
    return {**script(folder, "healthy", "#!/bin/sh\nexec cat\n"), "events": ["good", "bad"]}


def alive(folder: Path) -> list[int]:
    """What scripts left running, of what they noted down."""
    noted = folder / "pids"
    pids = map(int, noted.read_text().split()) if noted.exists() else ()
    return [pid for pid in pids if psutil.pid_exists(pid) and status(pid) != psutil.STATUS_ZOMBIE]


def status(pid: int) -> str:
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


def attempts(bridge: BridgeProcess, hook: str) -> list[tuple[str, str, str]]:
    """Outcome, error and output of each attempt."""
    return bridge.history.rows(
        "SELECT outcome, error, response FROM attempts JOIN deliveries ON deliveries.id = delivery_id"
        " WHERE hook = ? ORDER BY number",
        hook,
    )


def children(bridge: BridgeProcess) -> list[int]:
    """The processes below a bridge, zombies among them, without the watchdog."""
    return [child.pid for child in psutil.Process(bridge.pid).children(recursive=True) if not watchdog(child)]


def watchdog(process: psutil.Process) -> bool:
    try:
        return any(part.endswith("watchdog.py") for part in process.cmdline())
    except psutil.Error:
        return False


async def test_scripts_that_misbehave_are_contained_and_reported_and_delay_nobody(scene: Scene) -> None:
    (scene.folder / "home").mkdir()
    bad = [script(scene.folder, name, text, **SETTINGS.get(name, {})) for name, text in SCRIPTS.items()]
    queue = await scene.queue()
    async with scene.bridge([healthy(scene.folder), *bad], queue) as bridge:
        await scene.queues.publish(queue, [b'"first"'], message_type="good")
        await until(lambda: bridge.history.statuses("healthy")["SUCCESS"] == 1, what=bridge.last_words)
        process = psutil.Process(bridge.pid)
        memory, files = process.memory_info().rss, process.num_fds()
        await scene.queues.publish(queue, [BODY], message_type="bad")
        await until(lambda: bridge.history.statuses("killed")["FAILED"], what=bridge.last_words)
        await scene.queues.publish(queue, [b"%d" % number for number in range(200)], message_type="good")
        # Two hundred runs take a second or two, whatever the others are at.
        await until(lambda: bridge.history.statuses("healthy")["SUCCESS"] == 202, 12, what=bridge.last_words)
        peaks = [memory]

        def ended() -> bool:
            peaks.append(process.memory_info().rss)
            return all_ended(bridge)

        await until(ended, 20, what=bridge.last_words)
        await until(
            lambda: not alive(scene.folder) and not children(bridge), 15, what=str(alive(scene.folder))
        )
        assert max(peaks) - memory < 60 * MIB
        assert process.num_fds() <= files + 4
        await bridge.stop()
    for name, expected in EXPECTED.items():
        found = attempts(bridge, name)
        assert [outcome for outcome, _, _ in found] == [outcome for outcome, _ in expected], (name, found)
        for (_, error, _), (_, begins) in zip(found, expected, strict=True):
            assert (error or "").startswith(begins.format(folder=scene.folder)), name
    assert "MemoryError" in attempts(bridge, "glutton")[0][2]
    assert "Too many open files" in attempts(bridge, "hoarder")[0][2]
    assert attempts(bridge, "flood")[0][2].endswith("the end\n")
    assert attempts(bridge, "replaced")[1][2] == "new\n"


@pytest.mark.skipif(
    os.geteuid() != 0, reason="root is not held to a number of processes, and only root can be another"
)
async def test_a_script_that_forks_without_end_is_held_to_its_limit_of_processes(scene: Scene) -> None:
    text = "#!/bin/sh\nfor _ in $(seq 300); do sleep 300 & done; wait\n"
    limits = {"processes": 40}
    bomb = script(scene.folder, "bomb", text, user="nobody", cwd="/", linger=0, limits=limits)
    bomb["target"]["command"] = ["sh", "-c", text]
    queue = await scene.queue()
    async with scene.bridge([bomb], queue) as bridge:
        await scene.queues.publish(queue, [b"1"], message_type="bad")
        await until(lambda: bridge.history.statuses("bomb")["FAILED"], what=bridge.last_words)
        await until(lambda: not children(bridge))
        await bridge.stop()
    ((outcome, error, output),) = attempts(bridge, "bomb")
    assert (outcome, error) == ("exit", "exit code 2")
    assert "fork" in output


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM"])
async def test_nothing_that_scripts_started_outlives_the_bridge(end: str, scene: Scene) -> None:
    running = script(scene.folder, "running", SCRIPTS["stubborn"])
    left = script(scene.folder, "left", SCRIPTS["leaving"], linger=600)
    queue = await scene.queue()
    async with scene.bridge([running, left], queue, limits={"drain": "0.2s"}) as bridge:
        await scene.queues.publish(queue, [b"1"], message_type="bad")
        await until(lambda: len(alive(scene.folder)) == 7, what=bridge.last_words)
        await (bridge.kill() if end == "SIGKILL" else bridge.stop())
        await until(lambda: not alive(scene.folder), 5)


def all_ended(bridge: BridgeProcess) -> bool:
    return bridge.history.unfinished() == 0 and all(
        sum(bridge.history.statuses(name).values()) == 1 for name in SCRIPTS
    )
