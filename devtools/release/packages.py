"""Wheel and sdist, built so that everybody who builds the same commit gets the same bytes."""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from devtools.project import SetupError
from devtools.release.origin import EPOCH, Origin


def build(origin: Origin, folder: Path) -> list[Path]:
    """Build both into the folder; a SetupError says what the builder said."""
    environment = {**os.environ, EPOCH: str(origin.epoch)}
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    done = subprocess.run(
        command, cwd=origin.folder, env=environment, capture_output=True, check=False, timeout=300
    )
    if done.returncode:
        raise SetupError(f"the build failed:\n{done.stderr.decode(errors='replace').strip()}")
    return sorted((*folder.glob("amqp_bridge-*.whl"), *folder.glob("amqp_bridge-*.tar.gz")))


def differences(made: list[Path], origin: Origin) -> list[str]:
    """The names of packages that come out otherwise when they are built again."""
    with tempfile.TemporaryDirectory(prefix="amqp-bridge-again-") as folder:
        again = {path.name: path.read_bytes() for path in build(origin, Path(folder))}
    first = {path.name: path.read_bytes() for path in made}
    return sorted(name for name in first.keys() | again.keys() if first.get(name) != again.get(name))


def checksums(files: list[Path]) -> str:
    """What `sha256sum --check` reads."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(files, key=lambda path: path.name)
    ]
    return "".join(lines)
