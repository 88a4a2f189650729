"""What the tests use beside broker and database: other languages with their AMQP libraries, an MQTT broker, PgBouncer, a
library that sets the clock of a process, and Prometheus.

All that a package manager has is installed in one transaction, since each one costs seconds. Where something cannot
be had its tests are skipped, each with a reason that says what to install.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devtools.choice import packages, unpacked
from devtools.project import ROOT, STATE, say

PHP_LIBRARY = Path("/usr/share/php/PhpAmqpLib/autoload.php")
NODE_PACKAGE = ROOT / "examples" / "languages" / "node" / "package.json"
NODE_FOLDER = STATE / "node"
NODE_MODULES = NODE_FOLDER / "node_modules"
"""For NODE_PATH: where the library lies that the examples in Node require."""
NPM_SECONDS = 120
NPM = (
    *("npm", "install", "--omit=dev", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"),
    *("--fetch-retries=1", "--loglevel=error"),
)


@dataclass(frozen=True)
class Need:
    """Something the tests use: how to see that it is there, and the packages that bring it ("" for none)."""

    name: str
    is_there: Callable[[], bool]
    apt: str
    brew: str


def find_program(name: str) -> str | None:
    """The program; Debian keeps servers in folders that only root's PATH has."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin")


NEEDS = (
    Need("PHP", lambda: find_program("php") is not None, "php-cli", "php"),
    Need("php-amqplib", PHP_LIBRARY.exists, "php-amqplib", ""),
    Need("Node", lambda: find_program("node") is not None, "nodejs", "node"),
    Need("npm", lambda: find_program("npm") is not None, "npm", "node"),
    Need("amqp-tools", lambda: find_program("amqp-publish") is not None, "amqp-tools", "rabbitmq-c"),
    Need("PgBouncer", lambda: find_program("pgbouncer") is not None, "pgbouncer", "pgbouncer"),
    Need(
        "libfaketime", lambda: any(Path("/usr/lib").glob("*/faketime/*.so.1")), "libfaketime", "libfaketime"
    ),
    Need("mosquitto", lambda: find_program("mosquitto") is not None, "mosquitto", "mosquitto"),
)


def obtain() -> None:
    """Installs what is missing, as far as it may be; says what stays missing, and nothing where all is there."""
    if missing := missing_needs():
        packages.install(apt=_packages(missing, "apt"), brew=_packages(missing, "brew"))
        if still := missing_needs():
            names = ", ".join(need.name for need in still)
            say("languages", f"not here and not installed: {names}; the tests that need them are skipped")
    if find_program("npm") and not has_node_library():
        install_node_library()
    unpacked.obtain(unpacked.MONITORING)


def missing_needs() -> list[Need]:
    """What is not there."""
    return [need for need in NEEDS if not need.is_there()]


def _packages(needs: list[Need], manager: str) -> str:
    """Their packages' names, separated by spaces."""
    return " ".join(dict.fromkeys(name for need in needs if (name := getattr(need, manager))))


def has_node_library() -> bool:
    """Whether the library is there in the version that the examples name."""
    wanted: dict[str, str] = json.loads(NODE_PACKAGE.read_text(encoding="utf-8"))["dependencies"]
    return all(_version(NODE_MODULES / name / "package.json") == version for name, version in wanted.items())


def _version(file: Path) -> str | None:
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        return None


def install_node_library() -> None:
    """Puts it into the project's own folder, beside a copy of the examples' package.json."""
    say("languages", f"installing amqplib for Node into {NODE_FOLDER.relative_to(ROOT)}")
    try:
        NODE_FOLDER.mkdir(parents=True, exist_ok=True)
        shutil.copy(NODE_PACKAGE, NODE_FOLDER)
        run = subprocess.run(
            NPM, cwd=NODE_FOLDER, capture_output=True, text=True, timeout=NPM_SECONDS, check=False
        )
        problem = run.stderr.strip() if run.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = str(error)
    if problem:
        say("languages", f"it could not be installed, its tests are skipped: {problem}")
