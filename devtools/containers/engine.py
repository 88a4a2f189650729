"""A container engine of our own in namespaces of its own: networks, mounts and processes end with it, images stay in the cache.

The daemon keeps its images in the user's cache, so that a second start has them. One engine at a time uses them: the others wait.
"""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from devtools.containers.programs import CannotRun, Programs, cache, obtain
from devtools.nodes import processes
from devtools.nodes.scratch import PREFIX, Scratch
from devtools.project import say

KIND = "engine"
START_SECONDS = 60
STOP_SECONDS = 30
WAIT_SECONDS = 1800
ASK_SECONDS = 600
# The unified hierarchy beside version 1 confuses runc; the mount namespace is ours alone. What the daemon leaves behind is
# ended with the shell, which is process 1 of the namespace.
INSIDE = """
if [ -d /sys/fs/cgroup/memory ]; then umount /sys/fs/cgroup/unified 2>/dev/null; fi
ip link set lo up
dockerd "$@" &
wait $!
"""


@dataclass(frozen=True)
class Engine:
    """A running engine. Its networks are in a network namespace: what is to reach containers is started with `enter`."""

    programs: Programs
    folder: Path
    enter: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """With which its programs run."""
        return self.programs.environment() | self.variables()

    def variables(self) -> dict[str, str]:
        """With which clients find it; no file of the user's own client is read."""
        return {
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
            "DOCKER_CONFIG": str(self.folder / "client"),
            "DOCKER_BUILDKIT": "1",
            "BUILDKIT_PROGRESS": "plain",
            "TESTCONTAINERS_RYUK_DISABLED": "true",
        }

    def docker(self, *arguments: str, given: bytes = b"", seconds: float = ASK_SECONDS) -> str:
        """What the client printed; raises CannotRun with the end of what it complained of."""
        return ask([str(self.programs.docker), *arguments], self.environment(), given, seconds)

    def has_image(self, name: str, recipe: str) -> bool:
        """Whether there is an image of this name that was made by this recipe."""
        told = ("image", "inspect", "--format", '{{index .Config.Labels "recipe"}}', name)
        with suppress(CannotRun):
            return self.docker(*told).strip() == recipe
        return False


def ask(argv: list[str], env: Mapping[str, str], given: bytes, seconds: float) -> str:
    """What the program printed; raises CannotRun."""
    try:
        done = subprocess.run(
            argv, env=dict(env), input=given, capture_output=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotRun(f"{argv[0]}: {type(error).__name__}") from error
    if done.returncode:
        raise CannotRun(f"{' '.join(argv[:3])}: {done.stderr.decode(errors='replace').strip()[-2000:]}")
    return done.stdout.decode(errors="replace")


@contextmanager
def open_engine() -> Iterator[Engine]:
    """An engine; raises CannotRun where there can be none. Nothing of it runs or is mounted afterwards."""
    programs = obtain()
    with lock_of_images() as lock:
        scratch = Scratch.create(KIND)
        remove_stale_cgroups(scratch.path)
        try:
            yield started(programs, scratch, lock)
        finally:
            stop(scratch)


@contextmanager
def lock_of_images() -> Iterator[int]:
    """The sole use of the images in the cache. The daemon holds the lock, too, should we be killed."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as file:
        if not taken(file.fileno()):
            say("containers", "waiting for another ./dev that uses the container engine")
            if not processes.poll(lambda: taken(file.fileno()), WAIT_SECONDS, every=1):
                raise CannotRun("another ./dev uses the container engine and does not end")
        yield file.fileno()


def taken(lock: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def started(programs: Programs, scratch: Scratch, lock: int) -> Engine:
    """The engine, once it answers."""
    folder = scratch.path
    log = folder / "log"
    process = processes.spawn(
        [
            *("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("--propagation", "private", "sh", "-c", INSIDE, "engine"),
            *("-H", f"unix://{folder}/docker.sock", "--data-root", cache() / "images"),
            *("--exec-root", folder / "exec", "--pidfile", folder / "pid"),
            *("--cgroup-parent", f"/{folder.name}", "--log-level", "warn", "--storage-driver", "overlay2"),
        ],
        env=programs.environment(),
        log=log,
        folder=folder,
        keep=(lock,),
    )
    scratch.record("engine", process.pid, signal.SIGTERM)
    engine = Engine(programs, folder, ())
    if not processes.poll(lambda: answers(engine) or process.poll() is not None, START_SECONDS, every=0.2):
        raise CannotRun("the container engine did not answer in time")
    if process.poll() is not None:
        raise CannotRun(f"the container engine did not start: {log.read_text(errors='replace')[-500:]}")
    inside = next(each for each in processes.tree(process.pid) if each.pid != process.pid)
    engine = Engine(programs, folder, ("nsenter", f"--net=/proc/{inside.pid}/ns/net", "--"))
    remove_leftovers(engine)
    return engine


def answers(engine: Engine) -> bool:
    """Whether the daemon answers by now."""
    try:
        engine.docker("version", seconds=5)
    except CannotRun:
        return False
    return True


def remove_leftovers(engine: Engine) -> None:
    """What an engine left that was killed: its containers, networks and volumes are nobody's."""
    if containers := engine.docker("ps", "--all", "--quiet").split():
        engine.docker("rm", "--force", "--volumes", *containers)
    engine.docker("network", "prune", "--force")
    engine.docker("volume", "prune", "--force")


def stop(scratch: Scratch) -> None:
    """The daemon has ended in order, and with it its namespaces; images without a name are gone, and so is the folder."""
    record = scratch.path / "processes" / "engine"
    if record.exists():
        for process in processes.tree(int(record.read_text().split()[0])):
            with suppress(psutil.Error):
                if process.name() == "dockerd":
                    process.send_signal(signal.SIGTERM)
                    processes.await_end([process], STOP_SECONDS)
    scratch.remove()
    remove_cgroups(scratch.path.name)


def remove_stale_cgroups(ours: Path) -> None:
    """Those of engines that were killed, and whose folders are gone."""
    pattern = f"{PREFIX}{KIND}-*"
    for found in {each.name for each in Path("/sys/fs/cgroup").glob(f"*/{pattern}")}:
        if not (ours.parent / found).exists():
            remove_cgroups(found)


def remove_cgroups(name: str) -> None:
    """The control groups below ours, the innermost first; the kernel removes only those without a process."""
    for parent in [*Path("/sys/fs/cgroup").glob(f"*/{name}"), *Path("/sys/fs/cgroup").glob(name)]:
        for folder, _, _ in os.walk(parent, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
