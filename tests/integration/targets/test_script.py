"""Programs as targets: what they are given, and what their end means."""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from bridge.core.delivery import Answer, Fault
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.targets.factory import Targets
from tests.support.events import delivery

SPLYNX = Path(__file__).parents[2] / "data" / "publishers" / "splynx"


def script(directory: Path, text: str, name: str = "hook.sh") -> Path:
    path = directory / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def target(directory: Path, *command: str, **settings: Any) -> Target:
    settings = {"type": "script", "command": list(command) or ["./hook.sh"], "timeout": 20, **settings}
    targets = Targets({}, [], directory, lambda _: None)
    return targets.build(Hook.model_validate({"name": "crm", "target": settings}))


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """`tmp_path` without links in it."""
    return tmp_path.resolve()


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - other processes cannot set an Event
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_program_reads_the_data_in_one_line(tmp_path: Path) -> None:
    script(tmp_path, '#!/bin/sh\nread -r line\nprintf "%s|" "$line"\ncat\n')
    answer = await target(tmp_path).attempt(delivery(b'{ "a": "x/y" }'))
    assert answer == Answer(code=0, response=b'{"a":"x/y"}|')


async def test_a_script_written_for_splynx_works_unchanged(tmp_path: Path) -> None:
    body = (SPLYNX / "queue_customer_create.json").read_bytes()
    script(tmp_path, "#!/bin/sh\ncat\n")
    inner = json.loads(body)["data"]
    answer = await target(tmp_path).attempt(delivery(body, format="splynx", data=inner))
    expected = (SPLYNX / "script_stdin_flat_customer_create.json").read_bytes().rstrip(b"\n") + b"\n"
    assert answer == Answer(code=0, response=expected)


async def test_a_program_may_read_the_event(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\ncat\n")
    answer = await target(tmp_path, stdin="event").attempt(delivery())
    assert json.loads(answer.response)["type"] == "customers.create"


async def test_data_of_a_body_without_any_fails_for_good_and_starts_nothing(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\ntouch started\n")
    answer = await target(tmp_path).attempt(delivery(b"plain text"))
    assert (answer.fault, answer.lasting) == (Fault.CONTENT, True)
    assert not (tmp_path / "started").exists()


async def test_the_environment_is_clean_and_says_what_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_ADMIN_TOKEN", "hunter2")
    monkeypatch.setenv("LANG", "C.UTF-8")
    script(tmp_path, "#!/bin/sh\nenv\n")
    sent = delivery(attempt=3, identity="web\0master\ud800", type="a.b\nEVIL=1")
    answer = await target(tmp_path, env={"OWN": "x=y z", "LANG": "en"}).attempt(sent)
    text = answer.response.decode()
    assert "hunter2" not in text
    names = {line.partition("=")[0] for line in text.splitlines()}
    shells_own = {"PWD", "OLDPWD", "SHLVL", "_", "EVIL"}
    assert names - shells_own <= {
        *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "OWN"),
        *("BRIDGE_EVENT_TYPE", "BRIDGE_EVENT_ID", "BRIDGE_SOURCE", "BRIDGE_HOOK"),
        *("BRIDGE_ATTEMPT", "BRIDGE_USER", "BRIDGE_RUN"),
    }
    for line in (
        "OWN=x=y z",
        "LANG=en",
        "BRIDGE_EVENT_TYPE=a.b",
        "BRIDGE_EVENT_ID=01987a5c-0000-7000-8000-000000000000",
        "BRIDGE_SOURCE=splynx",
        "BRIDGE_HOOK=crm",
        "BRIDGE_ATTEMPT=3",
        "BRIDGE_USER=webmaster\\ud800",
    ):
        assert line in text.splitlines()


async def test_a_huge_value_in_the_environment_stops_nothing(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\nexit 0\n")
    answer = await target(tmp_path).attempt(delivery(type="x" * 3_000_000, identity="ü" * 3_000_000))
    assert answer.fault is None, answer


async def test_arguments_are_passed_as_they_are(tmp_path: Path) -> None:
    script(tmp_path, '#!/bin/sh\nprintf "%s\\n" "$@"\n')
    answer = await target(tmp_path, "./hook.sh", "a b", "$(touch evil)", "*", "").attempt(delivery())
    assert answer.response == b"a b\n$(touch evil)\n*\n\n"
    assert not (tmp_path / "evil").exists()


async def test_it_runs_in_the_configurations_directory_or_in_its_own(tmp_path: Path, real: Path) -> None:
    (tmp_path / "deep").mkdir()
    script(tmp_path, "#!/bin/sh\npwd -P\n")
    assert (await target(tmp_path).attempt(delivery())).response.decode().strip() == str(real)
    answer = await target(tmp_path, cwd="deep").attempt(delivery())
    assert answer.response.decode().strip() == f"{real}/deep"


async def test_a_bare_name_is_looked_up_in_path(tmp_path: Path) -> None:
    answer = await target(tmp_path, "cat").attempt(delivery())
    assert answer.response == b'{"a":1}\n'


@pytest.mark.parametrize(
    ("code", "lasting"),
    [(1, False), (2, False), (64, True), (65, True), (77, True), (78, True), (255, False)],
)
async def test_exit_codes_mean_what_sysexits_says(code: int, lasting: bool, tmp_path: Path) -> None:
    script(tmp_path, f"#!/bin/sh\necho why; exit {code}\n")
    answer = await target(tmp_path).attempt(delivery())
    error = f"exit code {code}"
    assert answer == Answer(fault=Fault.EXIT, code=code, response=b"why\n", error=error, lasting=lasting)


async def test_a_hook_may_give_exit_codes_another_meaning(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\nexit $1\n")
    codes = {3: "success", 0: "retry", 1: "fail", 65: "retry"}
    results = {}
    for code in codes:
        answer = await target(tmp_path, "./hook.sh", str(code), exit_codes=codes).attempt(delivery())
        results[code] = "success" if answer.fault is None else "fail" if answer.lasting else "retry"
    assert results == codes


async def test_a_program_that_dies_by_a_signal_says_which(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\nkill -SEGV $$\n")
    answer = await target(tmp_path).attempt(delivery())
    assert (answer.fault, answer.code, answer.error) == (Fault.SIGNAL, -11, "ended by SIGSEGV")


async def test_only_the_end_of_the_output_is_kept(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\necho out\necho err >&2\n")
    answer = await target(tmp_path, limits={"output": 20}).attempt(delivery())
    assert answer.response == b"x" * 12 + b"out\nerr\n"
    assert (await target(tmp_path, limits={"output": 0}).attempt(delivery())).response == b""


async def test_a_program_that_prints_for_ever_meets_the_deadline(tmp_path: Path) -> None:
    started = time.monotonic()
    answer = await target(tmp_path, "yes", timeout=0.5).attempt(delivery())
    assert answer.fault is Fault.TIMEOUT
    assert len(answer.response) == 16_384
    assert time.monotonic() - started < 5.0


async def test_a_megabyte_that_nobody_reads_meets_the_deadline(tmp_path: Path) -> None:
    started = time.monotonic()
    body = b'"' + b"x" * 2**20 + b'"'
    answer = await target(tmp_path, "sleep", "60", timeout=0.5, stdin="body").attempt(delivery(body))
    assert answer.fault is Fault.TIMEOUT
    assert answer.error == "did not end within 0.5 s and was ended"
    assert time.monotonic() - started < 5.0


async def test_a_program_that_reads_nothing_and_exits_0_succeeds(tmp_path: Path) -> None:
    body = b'"' + b"x" * 2**20 + b'"'
    assert (await target(tmp_path, "true", stdin="body").attempt(delivery(body))).fault is None


async def test_a_late_program_is_asked_to_end_before_it_is_killed(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\ntrap 'echo tidied; exit 0' TERM\nwhile :; do sleep 0.05; done\n")
    answer = await target(tmp_path, timeout=2).attempt(delivery())
    assert answer.fault is Fault.TIMEOUT
    assert answer.response.endswith(b"tidied\n")


async def test_a_program_that_will_not_end_is_killed(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\ntrap '' TERM\necho $$ > pid\nwhile :; do sleep 0.05; done\n")
    started = time.monotonic()
    answer = await target(tmp_path, timeout=2).attempt(delivery())
    assert answer.fault is Fault.TIMEOUT
    assert 4.0 <= time.monotonic() - started < 15.0
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_children_die_with_a_late_program(tmp_path: Path) -> None:
    script(
        tmp_path,
        "#!/bin/sh\n(trap '' TERM; sleep 60) &\necho $! > child\nsleep 60 &\necho $! > other\nwait\n",
    )
    answer = await target(tmp_path, timeout=2).attempt(delivery())
    assert answer.fault is Fault.TIMEOUT
    children = [int((tmp_path / name).read_text()) for name in ("child", "other")]
    await until(lambda: not any(alive(pid) for pid in children))


async def test_a_child_that_holds_the_output_open_is_not_waited_for_and_ended(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\nsleep 60 &\necho $! > child\necho done\n")
    started = time.monotonic()
    answer = await target(tmp_path).attempt(delivery())
    assert answer == Answer(code=0, response=b"done\n")
    assert time.monotonic() - started < 15.0
    # This process starts more than scripts, so it adopts nothing: the group ends with its leader.
    await until(lambda: not alive(int((tmp_path / "child").read_text())))


async def test_a_cancelled_attempt_takes_its_program_with_it(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\necho $$ > pid.new && mv pid.new pid\nexec sleep 60\n")
    attempt = asyncio.create_task(target(tmp_path).attempt(delivery()))
    await until((tmp_path / "pid").exists)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_nothing_stays_open_after_many_runs(tmp_path: Path) -> None:
    made = target(tmp_path, "true")
    await made.attempt(delivery())
    before, children = psutil.Process().num_fds(), psutil.Process().children()
    for _ in range(5):
        await asyncio.gather(*(made.attempt(delivery()) for _ in range(10)))
    assert psutil.Process().num_fds() <= before
    assert set(psutil.Process().children()) <= set(children)


async def test_a_program_has_no_files_of_ours(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\nls /proc/self/fd | wc -l\n")
    if sys.platform != "linux":
        pytest.skip("needs /proc")
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context((tmp_path / "hook.sh").open())
        answer = await target(tmp_path).attempt(delivery())
    assert int(answer.response) <= 4


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    answer = await target(tmp_path, "true", cwd="gone").attempt(delivery())
    assert answer.fault is Fault.SPAWN
    assert answer.error == f"{tmp_path}/gone: No such file or directory"


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
async def test_memory_and_cpu_time_are_limited(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\nulimit -v; ulimit -t\n")
    limits = {"memory": "512MiB", "cpu": 7}
    answer = await target(tmp_path, limits=limits).attempt(delivery())
    assert answer.response == b"524288\n7\n"


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
async def test_a_missing_program_is_told_from_an_exit_code_when_limited(tmp_path: Path) -> None:
    answer = await target(tmp_path, limits={"cpu": 7}).attempt(delivery())
    assert answer.fault is Fault.SPAWN
    assert f"there is no file {tmp_path}/hook.sh" in answer.error


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")
async def test_using_up_the_cpu_time_is_a_signal(tmp_path: Path) -> None:
    script(tmp_path, "#!/bin/sh\nwhile :; do :; done\n")
    answer = await target(tmp_path, limits={"cpu": 1}).attempt(delivery())
    assert (answer.fault, answer.error) == (Fault.SIGNAL, "ended by SIGXCPU")
