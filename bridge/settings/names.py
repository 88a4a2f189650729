"""The names that a configuration may use: the environment, a file of variables before it, and a secrets directory."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from bridge.model.errors import Problem, SettingsError

ENV_FILE = "BRIDGE_ENV_FILE"
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST = 1_048_576


def with_env_file(env: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, with the variables of the file BRIDGE_ENV_FILE, as it is now, in place of its own ones.

    They win, because a process keeps the environment that it was started with. Raises SettingsError.
    """
    name = env.get(ENV_FILE)
    return {**env, **_variables(name)} if name else env


def _variables(name: str) -> dict[str, str]:
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
