"""Docker Compose on the files of this project, in a project of the test's own."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from devtools.containers.engine import Engine
from devtools.project import PROGRAMS

UP_SECONDS = 240


@dataclass(frozen=True)
class Project:
    """A project of one Compose file."""

    engine: Engine
    file: Path
    name: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def compose(self, *arguments: str, seconds: float = UP_SECONDS) -> str:
        """What Compose printed on standard output; AssertionError with its complaints if it failed."""
        argv = [str(PROGRAMS / "docker-compose"), "--file", str(self.file), "--project-name", self.name]
        done = subprocess.run(
            [*argv, *arguments],
            env=self.engine.environment() | dict(self.variables),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:] + self._logs(argv)
        return done.stdout

    def _logs(self, argv: list[str]) -> str:
        told = subprocess.run(
            [*argv, "logs", "--tail", "20"],
            env=self.engine.environment() | dict(self.variables),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return told.stdout[-6000:]

    def logs(self, service: str) -> str:
        """What the containers of the service wrote, without their names before each line."""
        return self.compose("logs", "--no-color", "--no-log-prefix", service)

    def inside(self, service: str, *command: str) -> str:
        """What the command prints in a container of the service."""
        return self.compose("exec", "--no-TTY", service, *command)


@contextmanager
def up(
    engine: Engine, file: Path, name: str, *services: str, profile: str = "", **variables: str
) -> Iterator[Project]:
    """The services, once each is healthy or runs; nothing of them is left."""
    project = Project(engine, file, name, variables)
    profiles = ("--profile", profile) if profile else ()
    try:
        project.compose(*profiles, "up", "--detach", "--wait", "--quiet-pull", *services)
        yield project
    finally:
        project.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "45")


def asked(url: str) -> Any:
    """The JSON document at the URL."""
    with urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())
