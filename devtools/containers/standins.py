"""Stand-ins for the images that the Compose files name, from Debian's packages under the official names.

They understand what the files of this project ask of the official images: variables, paths and ports. Grafana is not among them:
no package archive has it.
"""

import shutil
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from devtools.choice.unpacked import ALERTMANAGER, PROMETHEUS, Program
from devtools.containers.engine import Engine
from devtools.containers.programs import CannotRun, obtain_unpacked
from devtools.containers.roots import PYTHON, SERVICES, Root, obtain_root

FOLDER = Path(__file__).parent / "images"


@dataclass(frozen=True)
class StandIn:
    """A folder of `images`, what it builds upon, the names of the image, and a program that goes into it."""

    folder: str
    base: Root
    names: tuple[str, ...]
    program: Program | None = None

    def files(self) -> dict[str, Path]:
        """What the builder gets, by name."""
        found = {file.name: file for file in sorted((FOLDER / self.folder).iterdir())}
        if self.program is not None:
            if (path := self.program.found()) is None:
                raise CannotRun(f"{self.program.name} is not unpacked")
            found[self.program.name] = Path(path)
        return found

    def recipe(self) -> str:
        """A digest of what goes into it; of a program the size, which its version changes."""
        parts = [
            str(file.stat().st_size).encode()
            if self.program and name == self.program.name
            else file.read_bytes()
            for name, file in self.files().items()
        ]
        return sha256(self.base.recipe.encode() + b"".join(parts)).hexdigest()[:16]


STAND_INS = (
    StandIn("rabbitmq", SERVICES, ("rabbitmq:4.1-management", "rabbitmq:4")),
    StandIn("postgres", SERVICES, ("postgres:17",)),
    StandIn("prometheus", PYTHON, ("prom/prometheus:v3.5.0",), PROMETHEUS),
    StandIn("alertmanager", PYTHON, ("prom/alertmanager:v0.28.1",), ALERTMANAGER),
)


def obtain_stand_ins(engine: Engine) -> None:
    """Builds those that are not there yet, or were changed; raises CannotRun."""
    obtain_unpacked(PROMETHEUS, ALERTMANAGER)
    for root in (PYTHON, SERVICES):
        obtain_root(engine, root)
    for each in STAND_INS:
        recipe = each.recipe()
        if not all(engine.has_image(name, recipe) for name in each.names):
            build(engine, each, recipe)


def build(engine: Engine, stand_in: StandIn, recipe: str) -> None:
    """Builds one in a folder of its own."""
    tags = [part for name in stand_in.names for part in ("--tag", name)]
    with tempfile.TemporaryDirectory() as made:
        for name, file in stand_in.files().items():
            shutil.copy2(file, Path(made, name))
        engine.docker("build", "--label", f"recipe={recipe}", *tags, made)
