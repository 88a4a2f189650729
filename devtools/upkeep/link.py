"""Makes the checkout itself usable in its environment: importable, with its command and its version.

A .pth file, a launcher and a metadata folder are all an editable install amounts to. Writing them
here needs no build backend, so setting up downloads nothing beyond the hashed requirements, and it
works before README and LICENSE (which a build insists on) exist. Runs on the standard library
alone, as the last step of building the environment.
"""

import sys
import sysconfig
import tomllib
from pathlib import Path

NAME = "amqp-bridge"
LAUNCHER = """#!/bin/sh
exec "$(dirname -- "$0")/python" -c '
import sys
from {module} import {function}
sys.argv[0] = "{name}"
sys.exit({function}())
' "$@"
"""


def link(root: Path, packages: Path, scripts: Path) -> None:
    """The checkout at root can be imported, and its command stands in scripts."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (packages / f"{NAME}.pth").write_text(f"{root}\n", encoding="utf-8")
    for name, target in project.get("scripts", {}).items():
        write_launcher(scripts / name, name, target)
    write_metadata(packages, project)


def write_launcher(path: Path, name: str, target: str) -> None:
    """An executable at path that calls target ("module:function"), wherever the environment is."""
    module, function = target.split(":")
    path.write_text(LAUNCHER.format(name=name, module=module, function=function), encoding="utf-8")
    path.chmod(0o755)


def write_metadata(packages: Path, project: dict[str, str]) -> None:
    """What importlib.metadata needs to tell the installed version."""
    for stale in packages.glob("amqp_bridge-*.dist-info"):
        for file in stale.iterdir():
            file.unlink()
        stale.rmdir()
    folder = packages / f"amqp_bridge-{project['version']}.dist-info"
    folder.mkdir()
    text = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {project['version']}\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    link(Path(sys.argv[1]), Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts")))
