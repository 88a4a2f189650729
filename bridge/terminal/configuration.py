"""The configuration that a command uses."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.checks.configuration import broker_problems, check, warnings
from bridge.core.base import seconds
from bridge.core.errors import Problem, SettingsError
from bridge.core.survey import FoundPolicies
from bridge.core.target import TARGET_TYPES
from bridge.settings.loading import LOGINS, load_with_places
from bridge.settings.sources import ENV_FILE, secrets_folder
from bridge.settings.tree import Settings
from bridge.settings.yaml import NAME

CONFIG_FILE = "BRIDGE_CONFIG"
USUAL_FILE = Path("bridge.yaml")
_LONGEST_WAIT = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file (None: the environment alone), overridden by the environment."""

    file: Path | None
    env: Mapping[str, str]

    @property
    def base(self) -> Path:
        """Returns the folder of relative paths of scripts."""
        return Path.cwd() if self.file is None else self.file.resolve().parent

    def destinations(self) -> Settings:
        """Returns the settings with broker and sources only: publishing does not need the secrets of hooks."""
        loaded = load_with_places(self.file, self.env, sections={"broker", "sources"})
        return loaded.sound(list(broker_problems("broker", loaded.settings.broker)))

    def checked(self) -> tuple[Settings, list[Problem]]:
        """Returns the checked settings, and warnings; raises SettingsError with every problem."""
        loaded = load_with_places(self.file, self.env)
        settings = loaded.sound(check(loaded.settings, self.base))
        return settings, loaded.located(warnings(settings))

    def fit_to_run(self, served: frozenset[str] | None, *, strict: bool = False) -> Settings:
        """Returns the settings, read again and checked for a process that serves these target types.

        Hooks with problems are marked as broken; `strict`: they are an error, as all other problems are.
        """
        loaded = load_with_places(self.file, self.env)
        found = check(loaded.settings, self.base, served)
        return loaded.sound(found) if strict else loaded.with_faults(found)


class ReloadableConfiguration:
    """A configuration that is read repeatedly; see bridge.hooks.reloading.SettingsOrigin."""

    def __init__(self, configuration: Configuration, served: frozenset[str] | None, *, strict: bool) -> None:
        """As Configuration.fit_to_run."""
        self._configuration = configuration
        self._served = served
        self._strict = strict
        self._read = self._looked_at = self._stamp()
        self._logins: tuple[object, Settings] | None = None

    def read(self) -> Settings:
        """Returns the present settings; raises SettingsError."""
        self._read = self._stamp()  # first: a change during the read must show as a change
        return self._configuration.fit_to_run(self._served, strict=self._strict)

    def logins(self) -> Settings:
        """Returns the present settings of brokers and database, even if others are invalid; raises SettingsError."""
        stamp = self._stamp()
        if self._logins is None or self._logins[0] != stamp:
            loaded = load_with_places(self._configuration.file, self._configuration.env, sections=LOGINS)
            self._logins = stamp, loaded.sound()
        return self._logins[1]

    def changed(self) -> bool:
        """Returns whether the files differ from those last read, and have not changed since the previous call."""
        before, self._looked_at = self._looked_at, self._stamp()
        return before == self._looked_at != self._read

    def policies(self) -> FoundPolicies:
        """Returns the policies that the management API in the settings reports."""
        from bridge.checks.broker import policies

        settings = self._configuration.fit_to_run(self._served, strict=False)
        url = settings.broker.management_url
        queues = [source.queue for source in settings.sources]
        return policies(settings.broker, queues, None if url is None else url.get_secret_value())

    def _stamp(self) -> list[tuple[object, ...]]:
        """Returns a value that changes with the files: their resolved paths and modification times."""
        env = self._configuration.env
        named = [self._configuration.file, env.get(ENV_FILE)]
        files = [Path(each) for each in named if each]
        secrets = (each for each in sorted(secrets_folder(env).glob("*")) if NAME.fullmatch(each.name))
        return [_stamp(each) for each in (*files, *secrets)]


def _stamp(file: Path) -> tuple[object, ...]:
    try:
        found = file.stat()
    except OSError:
        return (str(file),)
    return str(file), str(file.resolve()), found.st_ino, found.st_size, found.st_mtime_ns


def find(file: Path | None, log_level: str | None = None) -> Configuration:
    """The given file, else that of BRIDGE_CONFIG, else bridge.yaml in this folder, else the environment; raises SettingsError
    for none.
    """
    env = dict(os.environ)
    if log_level is not None:
        env["BRIDGE_LOG__LEVEL"] = log_level
    if file is None and (named := env.get(CONFIG_FILE)):
        file = Path(named)
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
    unknown = [part for part in chosen if part not in TARGET_TYPES]
    if unknown:
        message = f"no target {unknown[0]!r}; choose from {', '.join(TARGET_TYPES)}"
        raise SettingsError([Problem("--targets", message)])
    return frozenset(chosen)


def waiting_time(text: str | None) -> float:
    """Seconds of `5m`; 0 for None. Raises SettingsError for what is no such time."""
    if text is None:
        return 0.0
    try:
        wait = float(seconds(text))
    except ValueError as error:
        raise SettingsError([Problem("--wait", str(error))]) from None
    if not 0 <= wait <= _LONGEST_WAIT:
        raise SettingsError([Problem("--wait", f"from 0 to {_LONGEST_WAIT / 86_400:g} days, not {text}")])
    return wait
