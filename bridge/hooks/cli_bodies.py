"""Hooks as people type them: a file in YAML or JSON, or options for the common case."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.formats.parse import parse as parse_json
from bridge.terminal.output import content, usage
from bridge.terminal.scheme import Secrets, all_secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A hook by options; None: not given. Empty lists and texts mean what they say."""

    name: str | None = None
    description: str | None = None
    events: list[str] | None = None
    sources: list[str] | None = None
    filter: str | None = None
    unmatched: bool | None = None
    concurrency: int | None = None
    rate: str | None = None
    retry: str | None = None
    url: str | None = None
    profile: str | None = None
    timeout: str | None = None
    queue: str | None = None
    command: str | None = None
    notify: list[str] | None = None
    secret_files: list[Path] | None = None
    secret_variables: list[str] | None = None

    def body(self) -> dict[str, Any]:
        """The part of a hook that these options tell, to be made or merged. Raises SettingsError."""
        direct = {
            "name": self.name,
            "description": self.description,
            "events": split(self.events),
            "sources": split(self.sources),
            "filter": self.filter,
            "unmatched": self.unmatched,
            "concurrency": self.concurrency,
            "rate": self.rate,
            "retry": None if self.retry is None else _retry(self.retry),
            "target": self._target() or None,
        }
        return {name: value for name, value in direct.items() if value is not None}

    def _target(self) -> dict[str, Any]:
        chosen = {"--to": self.url, "--queue": self.queue, "--command": self.command, "--notify": self.notify}
        given = [option for option, value in chosen.items() if value]
        if len(given) > 1:
            raise usage(given[1], f"goes not with {given[0]}: a hook has one target")
        found = {
            **self._address(),
            "profile": self.profile,
            "timeout": self.timeout,
            "secrets": self._secrets(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _address(self) -> dict[str, Any]:
        if self.url:
            return {"type": "webhook", "url": filled(self.url, "--to")}
        if self.queue:
            return {"type": "queue", "queue": self.queue}
        if self.command:
            import shlex

            return {"type": "script", "command": shlex.split(self.command)}
        return {"type": "notify", "urls": filled(self.notify, "--notify")} if self.notify else {}

    def _secrets(self) -> list[str] | None:
        return all_secrets(Secrets([], self.secret_files, self.secret_variables)) or None


def split(texts: list[str] | None) -> list[str] | None:
    """`a,b` and repeated options as one list."""
    if texts is None:
        return None
    return [part for text in texts for each in text.split(",") if (part := each.strip())]


def _retry(text: str) -> dict[str, Any]:
    """A preset's name, or waits such as `5s,5m,30m`."""
    waits = split([text]) or []
    if waits and waits[0][:1].isdigit():
        return {"schedule": waits}
    return {"preset": text}


def of_file(name: str) -> Any:
    """The object in a file of YAML or JSON, or on standard input for `-`; raises SettingsError for anything else.

    A document with `hooks: [one]`, as in a configuration file, is that one. As there, `${NAME}` reads the environment:
    that of this command.
    """
    whole = content(name)
    value = parse_json(whole)
    if value is None:
        value = _yaml(whole, name)
    if isinstance(value, dict) and set(value) == {"hooks"} and isinstance(value["hooks"], list):
        [value] = value["hooks"] if len(value["hooks"]) == 1 else [None]
    if not isinstance(value, Mapping):
        raise usage("--file", f"{name} must hold one hook: an object in YAML or JSON")
    return filled(dict(value), "--file")


def filled(value: Any, option: str) -> Any:
    """`value` with the environment's text for each `${NAME}`; raises SettingsError for one that is not set."""
    from bridge.settings.environment import Substitution
    from bridge.settings.shape import written

    substitution = Substitution(os.environ)
    whole = substitution.fill(value)
    if substitution.problems:
        path, message = substitution.problems[0]
        raise usage(option, f"{written(path)}: {message}" if path else message)
    return whole


def _yaml(whole: bytes, name: str) -> Any:
    from bridge.settings.yaml import parse

    try:
        document = parse(whole.decode("utf-8-sig"), name)
    except UnicodeDecodeError:
        raise usage("--file", f"{name} is no UTF-8 text") from None
    if document.problems:
        raise usage("--file", "; ".join(f"{name}: {message}" for _, message in document.problems))
    return document.value


def either(file: str | None, options: Options) -> tuple[Any, bool]:
    """What is asked for, and whether it is a file's whole hook; raises SettingsError for both or neither."""
    by_options = options.body()
    if file is not None and by_options:
        raise usage("--file", "give either a file or options")
    if file is None and not by_options:
        raise usage("", "give a hook with -f FILE, or by options")
    return (of_file(file), True) if file is not None else (by_options, False)
