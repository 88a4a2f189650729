"""The script target: delivery by running a program on this machine."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from bridge.bodies.body import script_input
from bridge.core.budget import Budget
from bridge.core.delivery import Answer, Delivery, Fault
from bridge.core.ports import Preview
from bridge.core.target import ScriptLimits
from bridge.core.target import ScriptTarget as Settings
from bridge.targets.evidence import LARGE, EvidenceRecorder, Rendering
from bridge.targets.script.process import Command, Run, run
from bridge.targets.script.reaper import ProcessReaper

# Explanations why a file cannot be executed. The kernel reports a missing interpreter as "No such file", and Windows
# line ends not at all, although the file itself is there.


_LOOK = 256
"""Bytes of the first line that Linux reads (BINPRM_BUF_SIZE)."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def check_file(path: Path, search: str) -> None:
    """Raises ValueError, with reason and remedy, if this file could not be executed now.

    `search` is the PATH in which `#!/usr/bin/env` will search.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a folder; name the program in it")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is not a file")
    if not os.access(path, os.X_OK):
        raise ValueError(f"{path} is not executable; run: chmod 755 {path}")
    _check_beginning(path, search)


def _check_beginning(path: Path, search: str) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(_LOOK)
    except OSError:
        return  # A program may be executable but not readable.
    if beginning.startswith(b"#!"):
        _check_first_line(path, beginning[2:].partition(b"\n")[0], search)
    elif beginning.startswith(_BYTE_ORDER_MARK):
        raise ValueError(
            f"{path} begins with a byte order mark that hides its first line; save it without one"
        )
    elif b"\0" not in beginning:
        raise ValueError(
            f"{path} does not say what runs it; its first line must name the interpreter, such as #!/usr/bin/php"
        )


def _check_first_line(path: Path, line: bytes, search: str) -> None:
    if line.endswith(b"\r"):
        raise ValueError(
            f"{path} has line ends of Windows (CR LF), so that its interpreter is not found; "
            rf"run: sed -i 's/\r$//' {path}"
        )
    words = os.fsdecode(line).split()
    if not words:
        raise ValueError(f"{path} names no interpreter in its first line, such as #!/usr/bin/php")
    if not Path(words[0]).exists():
        raise ValueError(
            f"{path} is to be run by {words[0]}, which is not there; install it, or correct the first line"
        )
    if Path(words[0]).name == "env" and len(words) == 2 and not shutil.which(words[1], path=search):
        raise ValueError(
            f"{path} is to be run by {words[1]}, which is not in PATH ({search}); install it, or correct the first line"
        )


_FAIL_FOR_GOOD = frozenset({64, 65, 77, 78})
"""EX_USAGE, EX_DATAERR, EX_NOPERM, EX_CONFIG of sysexits(3)."""
_NOT_RUN = frozenset({126, 127})
"""Exit codes of shells, env(1) and prlimit(1) if they cannot find or execute a program, such as an interpreter."""
_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
_USUAL_MEMORY = 2 * 1024**3
"""Bytes of data of a program without `limits.memory`. A limit of address space would not work: Node.js reserves 10
GB of it."""
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
_LONGEST_VALUE = 32_768
"""Maximum bytes of an environment value: the kernel's limit is 128 kB, that of arguments and environment together
may be lower."""


class ScriptRunner:
    """The target that runs a hook's command once per attempt: argv, never a shell.

    The program gets a minimal environment (PATH, HOME, language and time zone of the bridge), the hook's `env`, and
    BRIDGE_EVENT_TYPE, BRIDGE_EVENT_ID, BRIDGE_SOURCE, BRIDGE_HOOK, BRIDGE_ATTEMPT, BRIDGE_USER (the sender, if an inlet
    verified it) and BRIDGE_RUN (by which processes left behind are found). Its working directory is the configuration
    file's unless `cwd` is set. Raises ValueError for a `user` that the bridge cannot become.
    """

    def __init__(
        self, settings: Settings, directory: Path, family: ProcessReaper, rendering: Rendering | None = None
    ) -> None:
        self._settings = settings
        self._rendering = rendering or Rendering(Budget())
        self._family = family
        self._directory = directory
        self._told = EvidenceRecorder(settings)
        self._limited = bool(_limiter(settings.limits))
        self._input = script_input(settings.stdin)
        identity, home = identity_of(settings.user)
        self._command = Command(
            argv=[*_limiter(settings.limits), program(settings.command[0], directory), *settings.command[1:]],
            cwd=str(working_directory(settings, directory)),
            identity=identity,
            output=settings.limits.output,
            umask=-1 if settings.umask is None else int(settings.umask, 8),
            linger=settings.linger,
            memory=_USUAL_MEMORY if settings.limits.memory is None else None,
        )
        self._env = (
            {name: os.environ[name] for name in _INHERITED if name in os.environ} | home | settings.env
        )

    async def attempt(self, delivery: Delivery) -> Answer:
        """Run the program once; the end of its output is the response."""
        stdin, _held = await self._rendering.make(delivery.event, self._input)
        if isinstance(stdin, Answer):
            return stdin
        about = self._about(delivery)
        answer = await self._run(self._env | about, stdin)
        told = partial(self._told.sent, list(about.items()), stdin)
        return replace(answer, evidence=told() if len(stdin) < LARGE else await asyncio.to_thread(told))

    def preview(self, delivery: Delivery) -> Preview | Answer:
        """Returns the program's input and environment as they would be now."""
        stdin = self._input(delivery.event)
        if isinstance(stdin, Answer):
            return stdin
        return Preview(self._told.sent(list(self._about(delivery).items()), stdin), stdin)

    async def close(self) -> None:
        """Do nothing: there are no resources between attempts."""

    async def _run(self, environment: dict[str, str], stdin: bytes) -> Answer:
        try:
            if self._limited:
                # Otherwise a missing program would look like an exit code of prlimit's.
                check_command(self._settings, self._directory)
            ended = await run(
                self._command,
                environment,
                stdin,
                self._settings.timeout,
                _GRACE,
                family=self._family,
            )
        except (OSError, ValueError) as error:
            return Answer(fault=Fault.SPAWN, error=self._not_started(error))
        except Exception as error:  # noqa: BLE001 - the port promises an Answer for every fault
            return Answer(fault=Fault.BUG, error=f"{type(error).__name__}: {error}")
        return self._judged(ended)

    def _about(self, delivery: Delivery) -> dict[str, str]:
        event = delivery.event
        return {
            "BRIDGE_EVENT_TYPE": _environment_value(event.type),
            "BRIDGE_EVENT_ID": _environment_value(event.id),
            "BRIDGE_SOURCE": _environment_value(event.source),
            "BRIDGE_HOOK": _environment_value(delivery.hook),
            "BRIDGE_ATTEMPT": str(delivery.attempt),
            "BRIDGE_USER": _environment_value(event.identity or ""),
        }

    def _judged(self, ended: Run) -> Answer:
        if ended.late:
            error = f"did not end within {self._settings.timeout:g} s and was ended"
            return Answer(fault=Fault.TIMEOUT, response=ended.output, error=error)
        if ended.code < 0:
            error = f"ended by {_signal_name(-ended.code)}"
            return Answer(fault=Fault.SIGNAL, code=ended.code, response=ended.output, error=error)
        meaning = self._settings.exit_codes.get(ended.code) or _usual_meaning(ended.code)
        if meaning == "success":
            return Answer(code=ended.code, response=ended.output)
        error = f"exit code {ended.code}"
        if ended.code in _NOT_RUN and (why := self._why_not()):
            error = f"{error}: {why}"
        return Answer(
            fault=Fault.EXIT,
            code=ended.code,
            response=ended.output,
            error=error,
            lasting=meaning == "fail",
        )

    def _not_started(self, error: OSError | ValueError) -> str:
        if not isinstance(error, OSError):
            return str(error)
        # Popen names the directory if it could not be entered.
        path = self._command.argv[0] if error.filename is None else os.fsdecode(error.filename)
        if path == self._command.argv[0] and (why := self._why_not()):
            return why
        text = f"{path}: {error.strerror or error}"
        if isinstance(error, PermissionError) and self._settings.user is not None:
            text += f"; {self._settings.user} must be allowed to run it and to enter its folder"
        return text

    def _why_not(self) -> str:
        """Returns why the program cannot be executed, judging by the file; "" if it can."""
        try:
            check_command(self._settings, self._directory)
        except ValueError as error:
            return str(error)
        return ""


def program(name: str, directory: Path) -> str:
    """Returns the path of a command's program: absolute as it is, a bare name for PATH, else below `directory`."""
    return name if "/" not in name else str(directory / name)


def working_directory(settings: Settings, directory: Path) -> Path:
    """Returns the directory in which the program is started."""
    return directory / settings.cwd if settings.cwd else directory


def check_command(settings: Settings, directory: Path) -> None:
    """Raises ValueError, with reason and remedy, if the command could not be started now."""
    name = settings.command[0]
    search = settings.env.get("PATH", os.environ.get("PATH", os.defpath))
    if "/" in name:
        path = Path(program(name, directory))
        if not path.exists():
            advice = "write its whole path, or one that starts in the folder of the configuration file"
            raise ValueError(f"there is no file {path}; {advice}")
        check_file(path, search)
        return
    if not shutil.which(name, path=search):
        hint = f"; for {directory / name} write ./{name}" if (directory / name).is_file() else ""
        raise ValueError(f"no program {name!r} in PATH ({search}){hint}")


def check_directory(settings: Settings, directory: Path) -> None:
    """Raises ValueError if the working directory does not exist."""
    path = working_directory(settings, directory)
    if not path.is_dir():
        raise ValueError(f"{path} is no directory; create it or change `cwd`")


def check_arguments(settings: Settings) -> None:
    """Raises ValueError for arguments that cannot be passed to a program."""
    if not settings.command[0] or any("\0" in part for part in settings.command):
        raise ValueError("the program has no name, or an argument holds a NUL character")


def check_env(settings: Settings) -> None:
    """Raises ValueError, naming the variable, if it cannot be in an environment."""
    for name, value in settings.env.items():
        if not name or "=" in name or "\0" in name:
            raise ValueError(f"{name!r} is no name of an environment variable")
        if "\0" in value:
            raise ValueError(f"the value of {name} holds a NUL character")


def check_limits(settings: Settings) -> None:
    """Raises ValueError if the limits cannot be applied on this system."""
    if _limiter(settings.limits) and not shutil.which("prlimit"):
        raise ValueError(
            "limits of memory, CPU time and processes need the program prlimit; install util-linux"
        )


def _limiter(limits: ScriptLimits) -> list[str]:
    """Returns the prefix of the command that limits it.

    prlimit(1) works for any user, and before the first instruction of the program. Setting limits after the start would
    require CAP_SYS_RESOURCE for programs of other users, which containers lack; a preexec_fn would run Python between
    fork and exec.
    """
    options = []
    if limits.memory is not None:
        options.append(f"--as={limits.memory}:{limits.memory}")
    if limits.cpu is not None:
        # SIGXCPU first, SIGKILL a second later for programs that catch it.
        options.append(f"--cpu={ceil(limits.cpu)}:{ceil(limits.cpu) + 1}")
    if limits.processes is not None:
        options.append(f"--nproc={limits.processes}:{limits.processes}")
    return ["prlimit", *options, "--"] if options else []


def identity_of(user: str | None) -> tuple[Mapping[str, Any], dict[str, str]]:
    """Returns Popen's arguments and the environment to run as this user; both empty for None and the bridge's own user.

    Raises ValueError if the user does not exist, or differs from the bridge's and the bridge is not root.
    """
    if user is None:
        return {}, {}
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ValueError(f"no user {user!r} on this machine") from None
    home = {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
    if entry.pw_uid == os.geteuid():
        return {}, home
    if os.geteuid() != 0:
        raise ValueError(f"only root can run a program as {user!r}; run the bridge as that user or as root")
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}, home


def _environment_value(text: str) -> str:
    data = text.replace("\0", "").encode("utf-8", "backslashreplace")[:_LONGEST_VALUE]
    return data.decode("utf-8", "ignore")


def _usual_meaning(code: int) -> str:
    if code == 0:
        return "success"
    return "fail" if code in _FAIL_FOR_GOOD else "retry"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
