"""The product's image, built without a network of the builder's own: pip finds the pinned wheels on a local address."""

import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from devtools.containers.engine import Engine
from devtools.containers.programs import CannotRun, cache, first_line
from devtools.nodes import processes
from devtools.project import ROOT, say

IMAGE = "amqp-bridge:dev"
REQUIREMENTS = (ROOT / "requirements" / "runtime.txt", ROOT / "requirements" / "otel.txt")
PYTHON = "3.13"
PIP_SECONDS = 600
BUILD_SECONDS = 900
CACHE_KEPT = "2GB"
GLIBC = ("_2_28", "_2_17", "2014", "_2_12", "2010", "_2_5", "1")
"""The suffixes of manylinux that a wheel may have."""


def build_product(engine: Engine, image: str = IMAGE, extra: str = "") -> str:
    """The name of the image of this checkout, with this extra; raises CannotRun with the end of the builder's output."""
    with tempfile.TemporaryDirectory() as made, served(engine, wheels(), Path(made)) as address:
        arguments = ("PIP_NO_INDEX=1", f"PIP_FIND_LINKS={address}", f"EXTRA={extra}")
        options = [part for each in arguments for part in ("--build-arg", each)]
        file = ROOT / "deploy" / "docker" / "Dockerfile"
        told = ("build", "--network=host", "--file", str(file), *options, "--tag", image, str(ROOT))
        engine.docker(*told, seconds=BUILD_SECONDS)
    engine.docker("image", "prune", "--force")
    engine.docker("builder", "prune", "--force", "--keep-storage", CACHE_KEPT)
    return image


def wheels() -> Path:
    """The folder with the wheels of the pinned requirements, downloaded with their hashes the first time."""
    digest = sha256(b"".join(file.read_bytes() for file in REQUIREMENTS)).hexdigest()[:12]
    folder = cache() / f"wheels-{digest}"
    if folder.is_dir():
        return folder
    say(
        "containers",
        f"downloading the wheels of {REQUIREMENTS[0].parent.relative_to(ROOT)} for Python {PYTHON}",
    )
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as made:
        draft = Path(made, "wheels")
        download(draft)
        for older in cache().glob("wheels-*"):
            shutil.rmtree(older)
        draft.replace(folder)
    return folder


def download(folder: Path) -> None:
    """Fills the folder; raises CannotRun."""
    platforms = [part for each in GLIBC for part in ("--platform", f"manylinux{each}_{platform.machine()}")]
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    argv += ["--require-hashes", "--only-binary=:all:", "--python-version", PYTHON, *platforms]
    argv += [part for file in REQUIREMENTS for part in ("--requirement", str(file))]
    argv += ["--dest", str(folder)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PIP_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise CannotRun(f"pip did not end within {PIP_SECONDS} s") from None
    if done.returncode:
        raise CannotRun(f"pip: {first_line(done.stderr)}")


@contextmanager
def served(engine: Engine, folder: Path, scratch: Path) -> Iterator[str]:
    """The address, in the engine's network, of a server with this folder."""
    # The port is free: nothing else listens in that namespace before containers are started.
    serve = [*engine.enter, sys.executable, "-m", "http.server", "8000", "--bind", "127.0.0.1"]
    log = scratch / "wheels.log"
    process = processes.spawn(
        [*serve, "--directory", folder], env=engine.environment(), log=log, folder=scratch
    )
    try:
        yield "http://127.0.0.1:8000/"
    finally:
        processes.end_tree(process.pid, signal.SIGTERM, 5)
        process.wait()
