"""Programs of a newer Debian suite, unpacked into the user's cache and never installed: the system stays as it is.

apt checks the archive's signatures as for any package, with lists of its own in the cache. All checkouts of a user share them.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from devtools.project import say

SUITES = ("forky", "trixie")
"""Where programs are looked for, the newest first."""
ORIGIN = "Debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
APT_SECONDS = 180


@dataclass(frozen=True)
class Program:
    """A program, the package that has it, and its path in there."""

    name: str
    package: str
    path: str

    def found(self) -> str | None:
        """Its path, if it was unpacked before."""
        paths = (cache() / suite / "root" / self.path for suite in SUITES)
        return next((str(path) for path in paths if os.access(path, os.X_OK)), None)


PROMTOOL = Program("promtool", "promtool", "usr/bin/promtool")
PROMETHEUS = Program("prometheus", "prometheus", "usr/bin/prometheus")
ALERTMANAGER = Program("alertmanager", "prometheus-alertmanager", "usr/bin/prometheus-alertmanager")
AMTOOL = Program("amtool", "prometheus-alertmanager", "usr/bin/amtool")
MONITORING = (PROMTOOL, PROMETHEUS, AMTOOL)


class CannotUnpack(Exception):
    """Why the programs cannot be had here, for a line in a log."""


def cache() -> Path:
    """The folder in the user's cache; `./dev clean` leaves it, since other checkouts use it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "amqp-bridge" / "debian"


def missing(programs: Iterable[Program]) -> list[Program]:
    """Those that are not unpacked yet."""
    return [program for program in programs if program.found() is None]


def obtain(programs: Iterable[Program]) -> None:
    """Unpacks what is missing; says why not where it cannot be had, and nothing where all is there."""
    if wanted := missing(programs):
        names = ", ".join(program.name for program in wanted)
        try:
            mirror = mirror_of_this_machine()
            say("monitoring", f"unpacking {names} into {cache()}")
            unpack(wanted, mirror)
        except CannotUnpack as error:
            say("monitoring", f"{names} cannot be had: {error}; the tests that need them are skipped")


def mirror_of_this_machine() -> str:
    """The archive that the machine's own apt uses; raises CannotUnpack where there is none of Debian."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise CannotUnpack("this system has no apt")
    if not KEYRING.exists():
        raise CannotUnpack(f"there is no {KEYRING}, with which packages are verified")
    wanted = ("indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages")
    targets = apt("apt-get", (), *wanted).splitlines()
    found = [line.split()[2] for line in targets if line.split()[:2] == [ORIGIN, ORIGIN]]
    if not found:
        raise CannotUnpack("apt has no sources of Debian, or no lists of them yet (apt-get update)")
    return found[0]


def unpack(programs: Iterable[Program], mirror: str) -> None:
    """Downloads and unpacks the programs of the first suite that has them; raises CannotUnpack."""
    wanted = list(programs)
    problems = []
    for suite in SUITES:
        try:
            unpack_from(suite, wanted, mirror)
        except CannotUnpack as error:
            problems.append(f"{suite}: {error}")
        else:
            return
    raise CannotUnpack("; ".join(problems))


def unpack_from(suite: str, programs: list[Program], mirror: str) -> None:
    """The same from one suite. Nothing half done is left: the folder appears once everything is in it."""
    folder = cache() / suite
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        draft = Path(made)
        options = own_lists(draft, suite, mirror)
        apt("apt-get", options, "update")
        apt("apt-get", options, "download", *(program.package for program in programs), folder=draft)
        for package in draft.glob("*.deb"):
            run("dpkg-deb", "--extract", str(package), str(draft / "root"))
        for program in programs:
            target = folder / "root" / program.path
            target.parent.mkdir(parents=True, exist_ok=True)
            (draft / "root" / program.path).replace(target)


def own_lists(folder: Path, suite: str, mirror: str) -> tuple[str, ...]:
    """The options with which apt knows this suite alone, and keeps what it learns in the folder."""
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
    (folder / "status").touch()
    for name in ("lists", "archives"):
        (folder / name / "partial").mkdir(parents=True)
    settings = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "status",
        "Dir::Cache": folder,
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "",
    }
    return tuple(part for name, value in settings.items() for part in ("-o", f"{name}={value}"))


def apt(program: str, options: tuple[str, ...], *arguments: str, folder: Path | None = None) -> str:
    """What apt printed; raises CannotUnpack with its first complaint."""
    return run(program, "-qq", *options, *arguments, folder=folder)


def run(*argv: str, folder: Path | None = None) -> str:
    """What the program printed; raises CannotUnpack with its first complaint."""
    try:
        done = subprocess.run(
            argv, cwd=folder, capture_output=True, text=True, timeout=APT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotUnpack(f"{argv[0]}: {type(error).__name__}") from error
    if done.returncode:
        lines = [*filter(None, done.stderr.splitlines()), "it gave no reason"]
        raise CannotUnpack(f"{argv[0]}: {lines[0]}")
    return done.stdout
