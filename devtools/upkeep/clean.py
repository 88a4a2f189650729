"""`./dev clean`: the checkout as it was cloned, and no temporary server left."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from devtools.nodes.scratch import reap_stale
from devtools.project import ROOT, STATE, say

CACHES = (
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".import_linter_cache",
    ".coverage",
    "dist",
)


def main(_: Sequence[str]) -> int:
    """Removes what commands made; the sources and files that users made stay."""
    for path in reap_stale():
        say("removed", str(path))
    for path in leftovers(ROOT):
        remove(path)
        say("removed", str(path.relative_to(ROOT)))
    return 0


def leftovers(root: Path) -> Iterator[Path]:
    """What is there to remove; the environment last, since this runs in it."""
    environment = root / ".venv"
    yield from (root / name for name in CACHES if (root / name).exists())
    yield from (path for path in list(root.rglob("__pycache__")) if environment not in path.parents)
    yield from (path for path in (root / STATE.name, environment) if path.exists())


def remove(path: Path) -> None:
    """Removes a folder or a file."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
