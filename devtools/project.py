"""Where the checkout is, how steps are told, and how a step says that it cannot go on."""

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".dev"
# Not resolved: the environment's python is a link to the system's, and only its folder has our programs.
PROGRAMS = Path(sys.executable).parent


class SetupError(Exception):
    """Something the command needs is missing; the message says what, and the ways out."""


def say(topic: str, text: str) -> None:
    """One line about one step, on stderr so that stdout stays free for data; on a terminal broken between words."""
    if sys.stderr.isatty():
        width = max(40, shutil.get_terminal_size().columns) - 13
        parts = [
            wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]
            for line in text.split("\n")
        ]
        text = f"\n{'':<13}".join(line for lines in parts for line in lines)
        topic = f"{topic:<12}" if "NO_COLOR" in os.environ else f"\x1b[1m{topic:<12}\x1b[0m"
    sys.stderr.write(f"{topic:<12} {text}\n")
    sys.stderr.flush()


def program_environment(**extra: str) -> dict[str, str]:
    """The environment for the project's own programs: theirs come first on PATH."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, **extra}


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The same without BRIDGE_*: what a developer has exported must not steer the tests."""
    return {name: value for name, value in environment.items() if not name.startswith("BRIDGE_")}


def tell_environment() -> None:
    """Says which Python runs this."""
    say("environment", f"Python {platform.python_version()} in {PROGRAMS.parent.name}")
