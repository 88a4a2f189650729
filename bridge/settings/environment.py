"""What the environment says: `${NAME}` in the file's strings, and BRIDGE_<SECTION>__<NAME> for each setting."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pathlib import Path as FilePath
from typing import Any

from bridge.core.errors import Problem, SettingsError
from bridge.settings.shape import (
    Choice,
    DictOf,
    ListOf,
    Model,
    Shape,
    fields_of,
    inside,
    is_model,
    nearest,
    written,
)
from bridge.settings.yaml import KeyPath, parse

PREFIX = "BRIDGE_"
SECRETS_DIR = "BRIDGE_SECRETS_DIR"
USUAL_SECRETS_DIR = FilePath("/run/secrets")
MAY_BE_UNSET: frozenset[KeyPath] = frozenset({("http", "admin_token")})
"""Settings that are null, and no problem, where their whole text is one variable that is not set."""

_HOLE = re.compile(r"\$?\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class Substitution:
    """A copy of plain values with each `${NAME}` replaced by the environment's text; `$${` is a plain `${`."""

    env: Mapping[str, str]
    private: set[KeyPath] = field(default_factory=set)
    """Where text of the environment went; messages never show it."""
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)

    def fill(self, value: Any, path: KeyPath = ()) -> Any:
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, _step(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, index)) for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, path: KeyPath) -> str | None:
        whole = _HOLE.fullmatch(text)
        if path in MAY_BE_UNSET and whole and not text.startswith("$$") and whole[1] not in self.env:
            return None
        return _HOLE.sub(lambda match: self._hole(match, path), text)

    def _hole(self, match: re.Match[str], path: KeyPath) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        name = match[1]
        if not _NAME.fullmatch(name):
            message = f"{match[0]} names no environment variable; write ${match[0]} for that text itself"
            self.problems.append((path, message))
        elif name not in self.env:
            self.problems.append((path, f"environment variable {name} is not set"))
        self.private.add(path)
        return self.env.get(name, "")


def variable_in(text: str) -> str | None:
    """The first `${NAME}` in a text, as it stands there."""
    found = _HOLE.search(text)
    return f"${{{found[1]}}}" if found else None


def _step(key: Any) -> str | int:
    return key if isinstance(key, int) else str(key)


@dataclass(frozen=True, slots=True)
class Given:
    """One setting from outside the file: its path, its value and where it came from.

    `private` values are never shown, whatever they set.
    """

    path: KeyPath
    value: Any
    origin: str
    private: bool


def given_settings(root: Model, env: Mapping[str, str]) -> tuple[list[Given], list[Problem]]:
    """Settings from the secrets directory, then from the environment (a later one wins), and what is wrong.

    An empty text counts as not given.
    """
    given: list[Given] = []
    problems: list[Problem] = []
    for name, text, origin in (*_secret_files(env, problems), *_variables(env)):
        try:
            path, shape = _path_of(name, root)
            if path and text.strip():
                given.append(Given(path, _value(text, shape, origin), origin, private=origin != name))
        except LookupError as error:
            problems.append(Problem("", str(error.args[0]), origin))
        except SettingsError as error:
            problems += [Problem(written(path), problem.message, origin) for problem in error.problems]
    return given, problems


def _variables(env: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    for name in sorted(env):
        if name.startswith(PREFIX) and name != SECRETS_DIR:
            yield name, env[name], name


def secrets_folder(env: Mapping[str, str]) -> FilePath:
    """Where settings are given as files named like their variables."""
    chosen = env.get(SECRETS_DIR)
    return FilePath(chosen) if chosen else USUAL_SECRETS_DIR


def _secret_files(env: Mapping[str, str], problems: list[Problem]) -> Iterator[tuple[str, str, str]]:
    chosen = env.get(SECRETS_DIR)
    folder = secrets_folder(env)
    if not folder.is_dir():
        if chosen:
            problems.append(Problem("", f"{chosen} is no folder", SECRETS_DIR))
        return
    for file in sorted(folder.glob(f"{PREFIX}*")):
        try:
            yield file.name, file.read_text("utf-8").removesuffix("\n").removesuffix("\r"), str(file)
        except UnicodeDecodeError:
            problems.append(Problem("", "not UTF-8 text", str(file)))
        except OSError as error:
            problems.append(Problem("", f"cannot be read: {error.strerror}", str(file)))


def _path_of(name: str, root: Model) -> tuple[KeyPath, Shape]:
    """Where a variable's value goes; () for one that is none of ours; LookupError for a misspelt one."""
    path: KeyPath = ()
    shape: Shape = root
    for part in name.removeprefix(PREFIX).lower().split("__"):
        below = inside(shape, part)
        if below is None:
            if not path and not _meant_as_setting(name, root):
                return (), None
            raise LookupError(_unknown(path, part, shape))
        path, shape = (*path, part), below
    return path, shape


def _meant_as_setting(name: str, root: Model) -> bool:
    section, separator, _ = name.removeprefix(PREFIX).lower().partition("__")
    return bool(separator) and "did you mean" in nearest(section, list(root.model_fields))


def _unknown(path: KeyPath, part: str, shape: Shape) -> str:
    if isinstance(shape, ListOf | Choice):
        whole = PREFIX + "__".join(map(str, path)).upper()
        return f"{written(path)} is a list: give the whole of it in {whole}"
    if not is_model(shape):
        return f"{written(path)} has nothing below it"
    return f"unknown setting {written((*path, part))}{nearest(part, list(fields_of(shape)))}"


def _value(text: str, shape: Shape, origin: str) -> Any:
    """Lists and mappings are written as YAML, and so as JSON; everything else is the text itself."""
    if not (isinstance(shape, ListOf | DictOf | Choice) or is_model(shape)):
        return text
    try:
        document = parse(text, origin)
    except SettingsError as error:
        raise SettingsError(
            [Problem("", _without_snippet(problem.message)) for problem in error.problems]
        ) from None
    if document.problems:
        raise SettingsError([Problem("", f"{written(path)} {said}") for path, said in document.problems])
    return text if isinstance(document.value, str) else document.value


def _without_snippet(message: str) -> str:
    return message.partition(",")[0] if "no valid YAML" in message else message


def overlay(value: dict[str, Any], given: list[Given]) -> dict[str, Any]:
    """`value` with each given setting laid over it, the broad ones first; mappings are merged."""
    for item in sorted(given, key=lambda item: len(item.path)):
        value = _laid_over(value, item.path, item.value)
    return value


def _laid_over(value: dict[str, Any], path: KeyPath, new: Any) -> dict[str, Any]:
    first, *rest = path
    old = value.get(str(first))
    if rest:
        new = _laid_over(old if isinstance(old, dict) else {}, tuple(rest), new)
    elif isinstance(old, dict) and isinstance(new, dict):
        new = {**old, **new}
    return {**value, str(first): new}


# The names that a configuration may use: the environment, a file of variables before it, and a secrets
# directory.


ENV_FILE = "BRIDGE_ENV_FILE"
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST = 1_048_576


def with_env_file(env: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, with the variables of the file BRIDGE_ENV_FILE, as it is now, in place of its own ones.

    They win, because a process keeps the environment that it was started with. Raises SettingsError.
    """
    name = env.get(ENV_FILE)
    return {**env, **_variables_of_file(name)} if name else env


def _variables_of_file(name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(_text(name).splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", ";")):
            continue
        matched = _LINE.fullmatch(stripped)
        if matched is None:
            # The line may be a secret that was put there by itself.
            raise SettingsError([Problem("", "each line is NAME=value, or a comment", f"{name}:{number}")])
        found[matched[1]] = _unquoted(matched[2].strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _text(name: str) -> str:
    try:
        with Path(name).open("rb") as file:
            content = file.read(_MOST + 1)
        if len(content) > _MOST:
            raise SettingsError([Problem("", "over 1 MiB", f"{ENV_FILE}: {name}")])
        return content.decode()
    except OSError as error:
        raise SettingsError(
            [Problem("", f"cannot be read: {error.strerror}", f"{ENV_FILE}: {name}")]
        ) from None
    except UnicodeDecodeError:
        raise SettingsError([Problem("", "not UTF-8 text", f"{ENV_FILE}: {name}")]) from None


class Names(Mapping[str, str]):
    """The environment, and where it has no variable of a name, the file of that name in a secrets directory, as it is now."""

    def __init__(self, env: Mapping[str, str], folder: Path) -> None:
        self._env = env
        self._folder = folder

    def __getitem__(self, name: str) -> str:
        if name in self._env:
            return self._env[name]
        if not NAME.fullmatch(name):
            raise KeyError(name)
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(_MOST).decode().removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError):
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)
