"""Base images, made of Debian's packages under the official names: where no registry is to be had, Dockerfiles need no change."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from devtools.containers.engine import Engine
from devtools.containers.programs import CannotRun, Programs, cache, first_line
from devtools.project import say

ROOT_SECONDS = 900
LEAN = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
)


@dataclass(frozen=True)
class Root:
    """A root file system: suite and packages, commands that change it (`$1` is its folder), files it does not get, and the image's
    metadata.
    """

    name: str
    suite: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def recipe(self) -> str:
        """A digest of all that goes into it."""
        return sha256(repr((self, LEAN)).encode()).hexdigest()[:16]


PYTHON = Root(
    "python:3.13-slim",
    "trixie",
    ("python3", "python3-venv", "python3-pip", "ca-certificates"),
    (
        'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
        'for name in python python3 python3.13; do ln -s /usr/bin/python3.13 "$1/usr/local/bin/$name"; done',
        'ln -s /usr/bin/pip "$1/usr/local/bin/pip"',
    ),
    changes=('CMD ["python3"]', "ENV LANG=C.UTF-8"),
)
SERVICES = Root(
    "amqp-bridge-dev/services:trixie",
    "trixie",
    ("rabbitmq-server", "postgresql", "ca-certificates"),
    ('rm -rf "$1"/var/lib/postgresql/*/main "$1"/etc/postgresql/*/main',),
    # PostgreSQL compiles queries with LLVM if it has it: a third of the image.
    ("/usr/lib/llvm-*", "/usr/lib/*/libLLVM*", "/usr/lib/postgresql/*/lib/bitcode/*", "*/llvmjit*"),
)
NEXT_SERVICES = replace(SERVICES, name="amqp-bridge-dev/services:forky", suite="forky")
"""What the next Debian has of both."""


def obtain_root(engine: Engine, root: Root) -> None:
    """Makes the image unless it is in the cache; raises CannotRun with the reason."""
    if engine.has_image(root.name, root.recipe):
        return
    say("containers", f"making {root.name} of {', '.join(root.packages)} ({root.suite})")
    draft = cache() / f"root-{root.recipe}.tar"
    try:
        bootstrap(engine.programs, root, draft)
        changes = [*root.changes, f"LABEL recipe={root.recipe}"]
        options = [part for change in changes for part in ("--change", change)]
        engine.docker("import", *options, str(draft), root.name)
    finally:
        draft.unlink(missing_ok=True)


def obtain_folder(programs: Programs, root: Root) -> Path:
    """The file system as a folder in the cache, made the first time; raises CannotRun with the reason."""
    folder = cache() / f"root-{root.recipe}"
    if not folder.exists():
        say("containers", f"making {folder} of {', '.join(root.packages)} ({root.suite})")
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=cache()))
        draft.chmod(0o755)
        try:
            bootstrap(programs, root, draft)
            draft.replace(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def bootstrap(programs: Programs, root: Root, target: Path) -> None:
    """Writes the file system: into the folder, or as the tar archive that the name ends with."""
    options = [
        *("--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(root.packages)}"),
        *("--aptopt=Acquire::Check-Valid-Until false", "--aptopt=APT::Install-Recommends false"),
        *(f"--dpkgopt=path-exclude={path}" for path in (*LEAN, *root.without)),
        *(f"--customize-hook={hook}" for hook in root.hooks),
    ]
    # What it mounts there meanwhile (/proc, /dev) no other process sees, nor whoever tidies up after a failure.
    apart = ("unshare", "--mount", "--propagation", "private")
    argv = [*apart, "mmdebstrap", *options, root.suite, str(target), programs.mirror]
    try:
        done = subprocess.run(
            argv,
            env=programs.environment(),
            capture_output=True,
            text=True,
            timeout=ROOT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotRun(f"mmdebstrap: {type(error).__name__}") from error
    if done.returncode:
        complaints = "\n".join(line for line in done.stderr.splitlines() if line.startswith("E:"))
        raise CannotRun(f"mmdebstrap of {root.suite}: {first_line(complaints or done.stderr)}")
