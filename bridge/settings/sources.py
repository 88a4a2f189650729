"""The sources of the settings: the file, the secrets directory and the environment, read by pydantic-settings.

pydantic-settings finds the variable of each setting, nests and merges. Added here are what it has not: lines of the file,
`${NAME}`, values in YAML, the nearest name of a misspelt variable, and all faults at once instead of the first one.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bridge.core.errors import Problem, SettingsError
from bridge.settings.shape import (
    Choice,
    DictOf,
    ListOf,
    Shape,
    fields_of,
    given,
    inside,
    is_model,
    nearest,
    written,
)
from bridge.settings.tree import Settings
from bridge.settings.yaml import NAME, Document, KeyPath, Substitution, parse, read

PREFIX = "BRIDGE_"
DELIMITER = "__"
SECRETS_DIR = "BRIDGE_SECRETS_DIR"
USUAL_SECRETS_DIR = Path("/run/secrets")
ENV_FILE = "BRIDGE_ENV_FILE"

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")
_MOST = 1_048_576


@dataclass
class Reading:
    """A reading of the settings: their origins, and what the sources find beside the values."""

    file: Path | None
    env: Mapping[str, str]
    sections: Container[str]
    """Other sections are skipped, whatever is wrong there."""
    value: dict[str, Any] = field(default_factory=dict)
    """The values of all sources together, before they are validated."""
    origins: dict[KeyPath, str] = field(default_factory=dict)
    private: set[KeyPath] = field(default_factory=set)
    """Where text of the environment or of a secret is; messages never show it."""
    problems: list[Problem] = field(default_factory=list)
    empty: set[KeyPath] = field(default_factory=set)
    """Where a variable is missing: what else is wrong there follows from that, and is not reported."""
    _blamed: set[KeyPath] = field(default_factory=set)

    def blame(self, path: KeyPath, message: str) -> None:
        """Adds a problem, once for each path."""
        if path not in self._blamed:
            self._blamed.add(path)
            self.problems.append(Problem(written(path), message, self._origin(path)))

    def of_file(self) -> dict[str, Any]:
        """Returns the wanted sections of the file, with every `${NAME}` replaced; raises SettingsError if it is invalid."""
        if self.file is None:
            return {}
        document = read(self.file)
        self.origins = {place: f"{self.file}:{line}" for place, line in document.lines.items()}
        for place, message in document.problems:
            if self._wanted(place[0]):
                self.blame(place, message)
        substitution = Substitution(Variables(self.env, secrets_folder(self.env)), self.private)
        whole = {key: part for key, part in _mapping(document, self.file).items() if self._wanted(key)}
        value: dict[Any, Any] = substitution.fill(whole)
        for place, message in substitution.problems:
            self.blame(place, message)
            self.empty.add(place)
        for key in [key for key in value if not isinstance(key, str)]:
            del value[key]  # pydantic-settings accepts no other keys
            known = int(key) if isinstance(key, int) else str(key)
            self.blame((known,), f"a key must be text, not {given(known, hidden=False)}")
        return value

    def of_variables(self, variables: Iterable[tuple[str, str, str]]) -> dict[str, str]:
        """Returns those variables (name, text, origin) that are settings and can be read, by their names in lower case.

        An empty text counts as not given.
        """
        found: dict[str, str] = {}
        for name, text, origin in variables:
            path: KeyPath = ()
            try:
                path, shape = _path_of(name)
                if not path or not text.strip() or path[0] not in self.sections:
                    continue
                _check(text, path, shape, origin)
            except LookupError as error:
                self.problems.append(Problem("", str(error.args[0]), origin))
            except SettingsError as error:
                self.problems += [Problem(written(path), each.message, origin) for each in error.problems]
            else:
                self.origins = {p: o for p, o in self.origins.items() if p[: len(path)] != path}
                self.origins[path] = origin
                self.private |= {path} if origin != name else set()
                found[name.lower()] = text
        return found

    def variables(self) -> Iterator[tuple[str, str, str]]:
        """Yields name, text and origin of each variable that may be a setting."""
        for name in sorted(self.env):
            if name.startswith(PREFIX) and name != SECRETS_DIR:
                yield name, self.env[name], name

    def secrets(self) -> Iterator[tuple[str, str, str]]:
        """Yields name, text and origin of each file of the secrets directory that may be a setting."""
        folder = secrets_folder(self.env)
        try:
            files = sorted(file for file in folder.iterdir() if file.name.startswith(PREFIX))
        except OSError as error:
            if chosen := self.env.get(SECRETS_DIR):
                missing = isinstance(error, FileNotFoundError | NotADirectoryError)
                why = "is no folder" if missing else f"cannot be read: {error.strerror}"
                self.problems.append(Problem("", f"{chosen} {why}", SECRETS_DIR))
            return
        for file in files:
            try:
                yield file.name, _without_line_end(file.read_text("utf-8")), str(file)
            except UnicodeDecodeError:
                self.problems.append(Problem("", "not UTF-8 text", str(file)))
            except OSError as error:
                self.problems.append(Problem("", f"cannot be read: {error.strerror}", str(file)))

    def _wanted(self, section: object) -> bool:
        return section in self.sections or section not in Settings.model_fields

    def _origin(self, path: KeyPath) -> str:
        """Returns the origin of the value, or of the nearest part around it that has one."""
        while path not in self.origins and path:
            path = path[:-1]
        return self.origins.get(path, "")


class GatheredSettings(Settings, BaseSettings):
    """The settings as pydantic-settings gathers them for the argument `reading`, a Reading."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, validate_default=False, defer_build=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the engine names its arguments
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The first one wins; read last, so that the origin noted of a setting is that of its value."""
        reading: Reading = init_settings()["reading"]
        file = _File(settings_cls, reading.of_file())
        secrets = _Secrets(file_secret_settings)
        secrets.env_vars = reading.of_variables(reading.secrets())
        environment = _Environment(settings_cls)
        environment.env_vars = reading.of_variables(reading.variables())
        return environment, secrets, file, _Merged(settings_cls, reading)


class _Environment(EnvSettingsSource):
    """The variables of the environment. Lists and mappings are YAML, which includes JSON; a text in YAML is taken literally."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002
        found = parse(value, field_name).value
        return value if isinstance(found, str) else found


class _Secrets(_Environment, NestedSecretsSettingsSource):
    """The files of the secrets directory, with the syntax of variables. The base class would read every file of the directory,
    strip blanks and stop at the first fault.
    """


class _File(PydanticBaseSettingsSource):
    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


class _Merged(_File):
    """Adds nothing: keeps the merged values of the previous sources, so that invalid ones can be removed."""

    def __init__(self, settings_cls: type[BaseSettings], reading: Reading) -> None:
        super().__init__(settings_cls, {})
        self._reading = reading

    def __call__(self) -> dict[str, Any]:
        self._reading.value = self.current_state
        return {}


def _mapping(document: Document, file: Path) -> dict[Any, Any]:
    if isinstance(document.value, dict):
        return document.value
    found = (
        "holds no settings" if document.value is None else "must be a mapping of sections such as `broker:`"
    )
    raise SettingsError([Problem("", found, str(file))])


# The variables: the setting of each, and whether its value can be read.


def _path_of(name: str) -> tuple[KeyPath, Shape]:
    """Returns the path and shape of a variable; () for one that is not a setting; LookupError for a misspelt one."""
    path: KeyPath = ()
    shape: Shape = Settings
    for part in name.removeprefix(PREFIX).lower().split(DELIMITER):
        below = inside(shape, part)
        if below is None:
            if not path and not _meant_as_setting(name):
                return (), None
            raise LookupError(_unknown(path, part, shape))
        path, shape = (*path, part), below
    return path, shape


def _meant_as_setting(name: str) -> bool:
    section, separator, _ = name.removeprefix(PREFIX).lower().partition(DELIMITER)
    return bool(separator) and "did you mean" in nearest(section, list(Settings.model_fields))


def _unknown(path: KeyPath, part: str, shape: Shape) -> str:
    if isinstance(shape, ListOf | Choice):
        whole = PREFIX + DELIMITER.join(map(str, path)).upper()
        return f"{written(path)} is a list: give the whole of it in {whole}"
    if not is_model(shape):
        return f"{written(path)} has nothing below it"
    return f"unknown setting {written((*path, part))}{nearest(part, list(fields_of(shape)))}"


def _check(text: str, path: KeyPath, shape: Shape, origin: str) -> None:
    """Raises SettingsError if a list or mapping cannot be read; any other value is the text itself."""
    if not (isinstance(shape, ListOf | DictOf | Choice) or is_model(shape)):
        return
    try:
        document = parse(text, origin)
    except SettingsError as error:
        raise SettingsError(
            [Problem("", _without_snippet(problem.message)) for problem in error.problems]
        ) from None
    if document.problems:
        raise SettingsError([Problem("", f"{written(place)} {said}") for place, said in document.problems])
    if document.value is None and len(path) == 1:  # pydantic-settings would treat it as not given
        expected = "a list" if isinstance(shape, ListOf) else "a mapping"
        raise SettingsError([Problem("", f"expected {expected}, got nothing")])


def _without_snippet(message: str) -> str:
    return message.partition(",")[0] if "no valid YAML" in message else message


# The names available to a configuration: the environment, overridden by a file of variables, and a secrets directory.


def secrets_folder(env: Mapping[str, str]) -> Path:
    """Returns the folder of settings in files that are named like their variables."""
    chosen = env.get(SECRETS_DIR)
    return Path(chosen) if chosen else USUAL_SECRETS_DIR


def with_env_file(env: Mapping[str, str]) -> Mapping[str, str]:
    """Returns the environment, with the present variables of the file BRIDGE_ENV_FILE in place of its own.

    The file takes precedence, because a process keeps the environment that it was started with. Raises SettingsError.
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
            # The line may be a secret without a name.
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


def _without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


class Variables(Mapping[str, str]):
    """The environment, and for names without a variable the present file of that name in a secrets directory."""

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
                return _without_line_end(file.read(_MOST).decode())
        except (OSError, UnicodeDecodeError):
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)
