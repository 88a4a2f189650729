"""Installing a system package, with consent: a terminal is asked, without one we go on."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devtools.project import say

POLICY = Path("/usr/sbin/policy-rc.d")
# 101 is "forbidden by policy": only the programs are wanted, never a running system service.
POLICY_TEXT = "#!/bin/sh\nexit 101\n"


def install(apt: str, brew: str) -> bool:
    """Whether the package is installed now, by the first package manager that may be used.

    Several packages, separated by spaces, are installed in one go; a manager that has none of them gets "".
    """
    if shutil.which("brew") and os.geteuid() != 0:
        return bool(brew) and has_consent(brew, "brew") and succeeds(["brew", "install", *brew.split()])
    if shutil.which("apt-get") and (rights := privilege()) is not None:
        return has_consent(apt, "apt-get") and apt_install(apt, rights)
    return False


def privilege() -> list[str] | None:
    """What to put before a command that needs root: nothing for root, else sudo, else None."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    # Without a terminal nobody could type a password, so -n turns the wait into a refusal.
    return [sudo] if sudo and sys.stdin.isatty() else [sudo, "-n"] if sudo else None


def has_consent(package: str, manager: str) -> bool:
    """Whether to install: what the terminal answers, or yes when there is none."""
    if sys.stdin.isatty():
        sys.stderr.write(f"Install {package} with {manager} now? [Y/n] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"", "y", "yes"}:
            return False
    say("packages", f"installing {package} with {manager}")
    return True


def apt_install(package: str, rights: list[str]) -> bool:
    """Whether apt installed the package or packages; a machine without package lists gets them first."""
    quiet = [*rights, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
    command = [*quiet, "install", "-y", "--no-install-recommends", *package.split()]
    with services_stay_down(rights):
        return succeeds(command) or (succeeds([*quiet, "update"]) and succeeds(command))


@contextmanager
def services_stay_down(rights: list[str]) -> Iterator[None]:
    """Packages do not start their services meanwhile. A policy that is there already is left alone."""
    if POLICY.exists():
        yield
        return
    with tempfile.NamedTemporaryFile("w", prefix="policy-") as draft:
        draft.write(POLICY_TEXT)
        draft.flush()
        succeeds([*rights, "install", "-m", "755", draft.name, str(POLICY)])
    try:
        yield
    finally:
        succeeds([*rights, "rm", "-f", str(POLICY)])


def succeeds(command: list[str]) -> bool:
    """Whether the command ended well. Its output goes to stderr, ours stays free for data."""
    return subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0
