"""Child processes in sessions of their own, ended by recorded id and never by name."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Account:
    """The user that a server runs as when we are root and it refuses to be."""

    uid: int
    gid: int


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    log: Path,
    folder: Path,
    account: Account | None = None,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """A process in a session of its own, so that Ctrl-C reaches us first and we end it in order.

    It keeps the open files in `keep`.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in argv],
            env=dict(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )


def end_tree(pid: int, first: signal.Signals, grace_seconds: float) -> None:
    """The process and all its descendants are gone: asked with the first signal, then killed."""
    family = tree(pid)
    if first != signal.SIGKILL and family:
        send(family[:1], first)
        await_end(family, grace_seconds)
    send([*family, *(child for parent in family for child in descendants(parent))], signal.SIGKILL)
    await_end(family, 10)


def tree(pid: int) -> list[psutil.Process]:
    """The process and its descendants, or nothing when it is gone."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return []
    return [process, *descendants(process)]


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """Children and theirs, as far as they can still be seen."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signals those that are still the same processes; psutil guards against reused ids."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def is_alive(process: psutil.Process) -> bool:
    """False for a zombie too: it holds nothing, and where nobody reaps orphans it stays for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped all threads of the process; where the system does not tell, it is taken for granted."""
    states = (
        stat.read_text().rpartition(")")[2].split()[0] for stat in Path(f"/proc/{pid}/task").glob("*/stat")
    )
    return all(state == "T" for state in states)


def await_end(processes: Sequence[psutil.Process], seconds: float) -> bool:
    """Whether all of them ended within the time."""
    return poll(lambda: not any(map(is_alive, processes)), seconds, every=0.02)


def poll(condition: Callable[[], bool], seconds: float, *, every: float = 0.1) -> bool:
    """Whether the condition came true within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def identity(pid: int) -> str:
    """The id with the start time, so that a reused id is told apart; empty when there is no such process."""
    try:
        return f"{pid} {psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return ""


def mentions(process: psutil.Process, word: str) -> bool:
    """Whether the word stands in the process's command line or environment."""
    try:
        return any(word in text for text in [*process.cmdline(), *process.environ().values()])
    except (psutil.Error, OSError):
        return False


def run_foreground(argv: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path) -> int:
    """The exit code of a command that shares our terminal; when we are interrupted it ends first."""
    with subprocess.Popen([str(part) for part in argv], env=dict(env), cwd=cwd) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # The terminal has interrupted the command, too.
            end_foreground(process)
            raise
        except BaseException:
            process.send_signal(signal.SIGINT)
            end_foreground(process)
            raise


def end_foreground(process: subprocess.Popen[bytes]) -> None:
    """The interrupted command is gone; it had time to tidy up."""
    if not poll(lambda: process.poll() is not None, 30):
        end_tree(process.pid, signal.SIGKILL, 0)
