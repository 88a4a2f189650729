"""What is checked without running the project: format, lint, types, layers, dependencies, and so on."""

import sys
from collections.abc import Iterator
from pathlib import Path

from devtools.checks.steps import Step
from devtools.project import PROGRAMS, ROOT

PACKAGES = ("bridge", "devtools", "tests", "bench")
SHELL_SCRIPTS = ("dev", ".ci/run")
SHELL_FOLDERS = ("examples", "deploy", "bench")


def static_steps() -> list[Step]:
    """Every static check, the quickest first."""
    return [
        Step("format", (program("ruff"), "format", "--check", ".")),
        Step("lint", (program("ruff"), "check", ".")),
        Step("shell scripts", (program("shellcheck"), *shell_scripts())),
        Step("sizes", (sys.executable, "-m", "devtools.checks.sizes")),
        Step("generated files", (sys.executable, "-m", "devtools.generate", "--check")),
        Step("layers", (program("lint-imports"), "--no-logo")),
        Step("dependencies", (program("deptry"), "--no-ansi", ".")),
        Step("types", (program("mypy"), *typed_packages())),
    ]


def program(name: str) -> str:
    """The environment's own, whatever else PATH may have."""
    return str(PROGRAMS / name)


def shell_scripts() -> list[str]:
    """The scripts of the checkout, relative to it."""
    found = [path for folder in SHELL_FOLDERS for path in (ROOT / folder).rglob("*.sh")]
    return [*SHELL_SCRIPTS, *(str(path.relative_to(ROOT)) for path in sorted(found))]


def typed_packages() -> Iterator[str]:
    """Arguments that name each package that has code; mypy stops at one without."""
    for name in PACKAGES:
        if has_code(ROOT / name):
            yield from ("-p", name)


def has_code(folder: Path) -> bool:
    """Whether there is any Python in it."""
    return next(folder.rglob("*.py"), None) is not None
