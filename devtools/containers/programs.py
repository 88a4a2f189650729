"""Debian's container engine and its tool for root file systems, unpacked into the user's cache and never installed.

Installing could replace an engine of another vendor that is there; unpacked, the system stays as it is.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from devtools.choice import unpacked
from devtools.nodes import processes
from devtools.project import say

PACKAGES = ("docker.io", "mmdebstrap")
TOOLS = ("unshare", "nsenter", "mount", "umount", "ip", "perl", "dpkg-deb", "apt-get")
APT_SECONDS = 600
LISTS_SECONDS = 60


class CannotRun(Exception):
    """Why there is no container engine, in one line."""


@dataclass(frozen=True)
class Programs:
    """The unpacked programs, and the archive that this machine's apt uses."""

    root: Path
    mirror: str

    @property
    def docker(self) -> Path:
        """The client."""
        return self.root / "usr/bin/docker"

    def environment(self) -> dict[str, str]:
        """With which they find each other, their libraries and extensions."""
        libraries = next((self.root / "usr/lib").glob("*-linux-gnu"))
        folders = [self.root / "usr/sbin", self.root / "usr/bin", os.environ.get("PATH", os.defpath)]
        return {
            **os.environ,
            "PATH": ":".join([*map(str, folders), "/usr/sbin", "/sbin"]),
            "LD_LIBRARY_PATH": str(libraries),
            "XTABLES_LIBDIR": str(libraries / "xtables"),
        }


def cache() -> Path:
    """The folder in the user's cache; `./dev clean` leaves it, since other checkouts use it."""
    return unpacked.cache().parent / "containers"


def obtain() -> Programs:
    """The programs, downloaded the first time; raises CannotRun where they cannot be had or used."""
    refuse_without_rights()
    mirror = mirror_of_this_machine()
    root = cache() / f"programs-{sha256(repr(PACKAGES).encode()).hexdigest()[:12]}"
    if not (root / "usr/sbin/dockerd").exists():
        say("containers", f"unpacking {', '.join(PACKAGES)} into {root}")
        unpack(root)
    return Programs(root, mirror)


def refuse_without_rights() -> None:
    """Raises CannotRun where this user or this system cannot have namespaces of its own."""
    if os.geteuid() != 0:
        raise CannotRun("a container engine of its own needs root")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise CannotRun(f"this system has no {', '.join(missing)}")
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if tried.returncode:
        raise CannotRun(f"this root may not have namespaces: {first_line(tried.stderr)}")


def mirror_of_this_machine() -> str:
    """The archive of Debian in apt's sources; a machine without package lists gets them first."""
    try:
        return unpacked.mirror_of_this_machine()
    except unpacked.CannotUnpack:
        refresh()
    try:
        return unpacked.mirror_of_this_machine()
    except unpacked.CannotUnpack as error:
        raise CannotRun(str(error)) from error


def refresh() -> None:
    """Updates the package lists, unless another process of apt does so for too long."""
    processes.poll(updated, LISTS_SECONDS, every=2)


def updated() -> bool:
    """Whether apt updated its lists."""
    try:
        run("apt-get", "-qq", "update")
    except CannotRun:
        return False
    return True


def obtain_unpacked(*programs: unpacked.Program) -> None:
    """Unpacks programs of newer suites, unless they are there; raises CannotRun."""
    unpacked.obtain(programs)
    if missing := unpacked.missing(programs):
        raise CannotRun(f"{', '.join(program.name for program in missing)} cannot be had")


def unpack(root: Path) -> None:
    """What the packages and those they depend on hold, as far as this system has not installed it.

    The folder appears once everything is in it.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as made:
        archives, draft = Path(made, "archives"), Path(made, "root")
        (archives / "partial").mkdir(parents=True)
        # Nothing is installed, so nothing is locked: other tests may install packages meanwhile.
        settings = (f"Dir::Cache::archives={archives}", "APT::Sandbox::User=", "Debug::NoLocking=1")
        options = [part for each in settings for part in ("-o", each)]
        install = ("install", "-y", "--reinstall", "--no-install-recommends", "--download-only", *PACKAGES)
        try:
            run("apt-get", "-qq", *options, *install)
        except CannotRun:
            refresh()
            run("apt-get", "-qq", *options, *install)
        for package in archives.glob("*.deb"):
            run("dpkg-deb", "--extract", str(package), str(draft))
        if (draft / "usr/sbin/xtables-nft-multi").exists():
            for name in ("iptables", "ip6tables"):  # installed, the package has them as alternatives
                (draft / "usr/sbin" / name).symlink_to("xtables-nft-multi")
        draft.replace(root)


def run(*argv: str) -> str:
    """What the program printed; raises CannotRun with its first complaint."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=APT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotRun(f"{argv[0]}: {type(error).__name__}") from error
    if done.returncode:
        raise CannotRun(f"{argv[0]}: {first_line(done.stderr)}")
    return done.stdout


def first_line(text: str) -> str:
    """The first line that says something."""
    return next(filter(None, text.splitlines()), "no reason given")
