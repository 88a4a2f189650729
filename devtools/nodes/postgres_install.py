"""Where this machine's PostgreSQL server is, and as whom it can run."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from devtools.nodes.processes import Account

# Debian keeps the server's programs off PATH, one folder per version.
PROGRAM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
PROGRAMS = ("initdb", "postgres", "pg_isready")


def find_postgres(patterns: Iterable[str] = PROGRAM_FOLDERS) -> Path | None:
    """The folder of the newest server's programs, or None."""
    complete = [
        folder for pattern in patterns for folder in Path("/").glob(pattern[1:]) if is_complete(folder)
    ]
    if complete:
        return max(complete, key=version_of_path)
    found = shutil.which("postgres")
    on_path = Path(found).resolve().parent if found else None
    return on_path if on_path and is_complete(on_path) else None


def is_complete(folder: Path) -> bool:
    """Whether the server's programs lie there, and not the client's alone."""
    return all(os.access(folder / name, os.X_OK) for name in PROGRAMS)


def version_of_path(folder: Path) -> list[int]:
    """The numbers in a path, so that 15 sorts after 9.6."""
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def postgres_version(programs: Path) -> str:
    """What the server says of itself, such as "15.18"."""
    argv: list[str | Path] = [programs / "postgres", "--version"]
    output = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False).stdout
    found = re.search(r"\d+[.\d]*", output)
    return found[0] if found else "unknown version"


def server_account() -> Account | None:
    """The unprivileged user to run as when we are root, whom the server refuses; None when we are not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise LookupError("neither a user postgres nor a user nobody exists to run PostgreSQL as")
