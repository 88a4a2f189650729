"""Releases of RabbitMQ that this machine has not installed: each in a root file system of the suite that has it.

Their nodes are private nodes like any other: they can be stopped, killed and frozen, and rabbitmqctl works.
"""

import shutil
from pathlib import Path

from devtools.containers.programs import CannotRun, obtain
from devtools.containers.roots import NEXT_SERVICES, SERVICES, Root, obtain_folder
from devtools.nodes.rabbitmq_install import Installation

RELEASES = {"4.0": SERVICES, "4.3": NEXT_SERVICES}
INSIDE = Path(__file__).parents[1] / "nodes" / "inside.sh"
PROGRAMS = ("rabbitmq-server", "rabbitmqctl", "rabbitmq-plugins", "epmd")


def obtain_release(release: str) -> Installation:
    """The release as an installation, made the first time (a minute, 200 MB); raises CannotRun with the reason."""
    if (root := RELEASES.get(release)) is None:
        raise CannotRun(f"there is no RabbitMQ {release!r} here: it is one of {', '.join(RELEASES)}")
    return entered(obtain_folder(obtain(), root), root)


def entered(folder: Path, root: Root) -> Installation:
    """The programs of the root file system, to be called from outside."""
    library = next(folder.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*"), None)
    if library is None:
        raise CannotRun(f"{folder} has no RabbitMQ")
    place = folder.with_name(f"{folder.name}-{root.suite}")
    scripts = place / "bin"
    scripts.mkdir(parents=True, exist_ok=True)
    for name, target in (("root", folder), ("plugins", library / "plugins")):
        if not (place / name).is_symlink():
            (place / name).symlink_to(target)
    for name in PROGRAMS:
        draft = scripts / f".{name}"
        shutil.copy(INSIDE, draft)
        draft.replace(scripts / name)
    return Installation(scripts, scripts / "epmd")
