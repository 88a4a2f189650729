"""Which configuration a command works with."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.admin.check import check, warnings
from bridge.admin.transport import broker_problems
from bridge.model.errors import Problem, SettingsError
from bridge.settings.loading import load_with_places
from bridge.settings.tree import Settings

USUAL_FILE = Path("bridge.yaml")
TARGETS = ("webhook", "script", "queue", "notify")


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file (None: the environment alone) with the environment laid over it."""

    file: Path | None
    env: Mapping[str, str]

    @property
    def base(self) -> Path:
        """The folder that relative paths of scripts start from."""
        return Path.cwd() if self.file is None else self.file.resolve().parent

    def destinations(self) -> Settings:
        """Broker and sources alone: the secrets of hooks need not be at hand to publish."""
        loaded = load_with_places(self.file, self.env, sections={"broker", "sources"})
        return loaded.sound(list(broker_problems("broker", loaded.settings.broker)))

    def checked(self) -> tuple[Settings, list[Problem]]:
        """Read and looked through whole, and what is hardly meant; raises SettingsError with every problem."""
        loaded = load_with_places(self.file, self.env)
        settings = loaded.sound(check(loaded.settings, self.base))
        return settings, loaded.located(warnings(settings))

    def fit_to_run(self, served: frozenset[str] | None) -> Settings:
        """Read anew and looked through for what a process that serves these target types needs."""
        loaded = load_with_places(self.file, self.env)
        return loaded.sound(check(loaded.settings, self.base, served))


def find(file: Path | None, log_level: str | None = None) -> Configuration:
    """The given file, else bridge.yaml in this folder, else the environment; raises SettingsError for none."""
    env = dict(os.environ)
    if log_level is not None:
        env["BRIDGE_LOG__LEVEL"] = log_level
    if file is None and USUAL_FILE.exists():
        file = USUAL_FILE
    if file is None and not any(
        "__" in name or name == "BRIDGE_SOURCES" for name in env if name[:7] == "BRIDGE_"
    ):
        message = "no configuration: there is no bridge.yaml in this folder; give one with -c FILE"
        raise SettingsError([Problem("", message)])
    return Configuration(file, env)


def served_targets(text: str | None) -> frozenset[str] | None:
    """The target types of `webhook,queue`; None for all. Raises SettingsError for one that does not exist."""
    if text is None:
        return None
    chosen = [part.strip() for part in text.split(",")]
    unknown = [part for part in chosen if part not in TARGETS]
    if unknown:
        message = f"no target {unknown[0]!r}; choose from {', '.join(TARGETS)}"
        raise SettingsError([Problem("--targets", message)])
    return frozenset(chosen)
