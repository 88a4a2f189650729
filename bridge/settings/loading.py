"""From a file and the environment to the settings, or to the list of all that is wrong with them."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from bridge.model.errors import Problem, SettingsError
from bridge.settings.consistency import contradictions
from bridge.settings.document import Document, Path, parse
from bridge.settings.environment import Given, Substitution, given_settings, overlay, secrets_folder
from bridge.settings.faults import broken_apart
from bridge.settings.names import Names, with_env_file
from bridge.settings.problems import explain
from bridge.settings.remainder import remainder, trustworthy
from bridge.settings.shape import written
from bridge.settings.tree import Settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, as far as they are valid, where each of them stands, and what is wrong with the others."""

    settings: Settings
    origins: Mapping[Path, str]
    problems: tuple[Problem, ...] = ()
    left_out: frozenset[Path] = frozenset()

    def sound(self, further: Iterable[Problem] = ()) -> Settings:
        """The settings; raises SettingsError where they have problems, or `further` ones were found in them."""
        own = (problem for problem in further if trustworthy(problem.path, self.left_out))
        if problems := [*self.problems, *self.located(own)]:
            raise SettingsError(sorted(problems, key=_line))
        return self.settings

    def with_faults(self, further: Iterable[Problem] = ()) -> Settings:
        """The settings, each hook that has problems marked as broken; raises SettingsError where others are wrong, or where
        a hook has no name by which its lane could be known.
        """
        own = (problem for problem in further if trustworthy(problem.path, self.left_out))
        problems = sorted([*self.problems, *self.located(own)], key=_line)
        settings, others = broken_apart(self.settings, problems)
        if others:
            raise SettingsError(problems)
        return settings

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """The same problems in the order of the file, each with the file and line of the nearest setting."""
        places = {written(path): origin for path, origin in self.origins.items()}
        found = (replace(problem, where=_nearest_place(problem.path, places)) for problem in problems)
        return sorted(found, key=_line)


def load(path: FilePath | None, env: Mapping[str, str]) -> Settings:
    """The settings: defaults, then the file, then the secrets directory, then the environment; the last wins.

    Raises SettingsError with one Problem for each fault, all at once.
    """
    return load_with_places(path, env).sound()


def load_with_places(
    path: FilePath | None, env: Mapping[str, str], sections: Container[str] = frozenset(Settings.model_fields)
) -> Loaded:
    """As `load`, with the place of each setting; other `sections` are passed over, whatever is wrong there.

    Raises SettingsError only for what cannot be read as settings at all; `Loaded.sound` does for every fault.
    """
    env = with_env_file(env)
    document = _read(path) if path is not None else Document(value={})
    name = str(path or "")
    draft = _Draft(origins={place: f"{name}:{line}" for place, line in document.lines.items()})
    for place, message in document.problems:
        if _wanted(place[0], sections):
            draft.blame(place, message)
    substitution = Substitution(Names(env, secrets_folder(env)), draft.private)
    whole = _mapping(document, name)
    value = substitution.fill({key: part for key, part in whole.items() if _wanted(key, sections)})
    for place, message in substitution.problems:
        draft.blame(place, message)
        draft.empty.add(place)
    given, problems = given_settings(Settings, env)
    given = [item for item in given if item.path[0] in sections]
    draft.lay_over(given, problems)
    return draft.loaded(overlay(value, given))


@dataclass
class _Draft:
    """What is known about each value on the way to the settings."""

    origins: dict[Path, str]
    private: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    blamed: set[Path] = field(default_factory=set)
    empty: set[Path] = field(default_factory=set)
    """Where a variable is missing: what else is wrong there comes of that, and is not told."""

    def lay_over(self, given: list[Given], problems: list[Problem]) -> None:
        self.problems += problems
        for item in given:
            self.origins = {p: o for p, o in self.origins.items() if p[: len(item.path)] != item.path}
            self.origins[item.path] = item.origin
            if item.private:
                self.private.add(item.path)

    def blame(self, path: Path, message: str) -> None:
        if path not in self.blamed:
            self.blamed.add(path)
            self.problems.append(Problem(written(path), message, self._origin(path)))

    def loaded(self, value: dict[str, Any]) -> Loaded:
        """What is valid of the value, with all that is wrong with the rest."""
        found = remainder(value, lambda error: explain(Settings, error, self.private)[0])
        for details in found.errors:
            place, message = explain(Settings, details, self.private)
            if not any(place == other[: len(place)] for other in self.empty):
                self.blame(place, message)
        left_out = found.left_out | self.empty
        for place, message in contradictions(found.settings):
            if trustworthy(written(place), left_out):
                self.blame(place, message)
        return Loaded(found.settings, self.origins, tuple(self.problems), left_out)

    def _origin(self, path: Path) -> str:
        """Where the value stands, or the nearest thing around it that stands somewhere."""
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins.get(path, "")


def _nearest_place(path: str, places: Mapping[str, str]) -> str:
    while path and path not in places:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return places.get(path, "")


def _line(problem: Problem) -> int:
    """The line in the file; 0 for what does not stand in it, which so comes first."""
    line = problem.where.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


def _wanted(section: object, sections: Container[str]) -> bool:
    return section in sections or section not in Settings.model_fields


def _mapping(document: Document, name: str) -> dict[str, Any]:
    if isinstance(document.value, dict):
        return document.value
    found = (
        "holds no settings" if document.value is None else "must be a mapping of sections such as `broker:`"
    )
    raise SettingsError([Problem("", found, name)])


def _read(path: FilePath) -> Document:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        message = "no such file"
    except IsADirectoryError:
        message = "is a folder, not a file"
    except PermissionError:
        message = "may not be read by this user"
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text (byte {error.start + 1})"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    else:
        return parse(text, str(path))
    raise SettingsError([Problem("", message, str(path))])
