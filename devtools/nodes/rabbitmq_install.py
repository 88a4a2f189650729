"""Where this machine's RabbitMQ is."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# The package's own script folders first. Debian's wrapper in sbin switches to the user rabbitmq and
# refuses everybody but root, so what PATH has comes last and is followed to where it points.
SCRIPT_FOLDERS = (
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin",
)
ERLANG_FOLDERS = (
    "/usr/lib/erlang",
    "/opt/erlang/lib/erlang",
    "/opt/homebrew/lib/erlang",
    "/usr/local/lib/erlang",
)


@dataclass(frozen=True)
class Installation:
    """The folder of RabbitMQ's scripts, and Erlang's port mapper."""

    scripts: Path
    epmd: Path

    def version(self) -> str:
        """RabbitMQ's version, read off its library folders so that nothing has to be started."""
        # The scripts may be links; the library lies beside the folder that they point into.
        home = (self.scripts / "rabbitmq-server").resolve().parent.parent
        for library in sorted(home.glob("plugins/rabbit-*")):
            if found := re.fullmatch(r"rabbit-(\d+\.\d+\.\d+.*?)(\.ez)?", library.name):
                return found[1]
        return "unknown version"


INSTALLATION_VARIABLE = "BRIDGE_TEST_RABBITMQ"
"""The folder with the scripts and the port mapper of the release that `./dev test --rabbitmq` asked for."""


def find_rabbitmq(folders: Iterable[str] = SCRIPT_FOLDERS) -> Installation | None:
    """The release that was asked for, else the first complete installation, or None."""
    if asked := os.environ.get(INSTALLATION_VARIABLE):
        return Installation(Path(asked), Path(asked, "epmd"))
    epmd = find_epmd()
    scripts = next(filter(is_script_folder, [*map(Path, folders), *folders_on_path()]), None)
    return Installation(scripts, epmd) if scripts and epmd else None


def folders_on_path() -> list[Path]:
    """Where the rabbitmq-server on PATH really lies."""
    found = shutil.which("rabbitmq-server")
    return [Path(found).resolve().parent] if found else []


def is_script_folder(folder: Path) -> bool:
    """Whether the scripts lie there together with the library that they source (wrappers do not)."""
    names = ("rabbitmq-server", "rabbitmqctl", "rabbitmq-env")
    return all(os.access(folder / name, os.R_OK) for name in names)


def find_epmd() -> Path | None:
    """Erlang's port mapper: on PATH, or in the runtime's own folder."""
    if found := shutil.which("epmd"):
        return Path(found)
    runtimes = [path for folder in ERLANG_FOLDERS for path in Path(folder).glob("erts-*/bin/epmd")]
    return max(runtimes, default=None)


def erlang_version() -> str | None:
    """The Erlang/OTP release on PATH, or None without one."""
    erl = shutil.which("erl")
    if erl is None:
        return None
    show = "io:format(erlang:system_info(otp_release)), halt()."
    result = subprocess.run(
        [erl, "-noshell", "-eval", show], capture_output=True, text=True, timeout=20, check=False
    )
    return result.stdout.strip() or None
