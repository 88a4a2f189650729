"""`amqp-bridge health`: whether a running bridge is live or ready.

Orchestrators ask every few seconds. Typer and pydantic start more slowly than the question is answered, so plain arguments and
plainly stated addresses are read here; everything else is left to them.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bridge.core.errors import BridgeError, Problem, SettingsError

USUAL = "127.0.0.1:8080"
"""The default of http.listen."""
_LONGEST = 7 * 86_400.0
"""Maximum of --wait, in seconds."""
_PATIENCE = 5.0
_EVERY = 0.25
_MOST = 262_144
_LISTEN = frozenset({"bridge_http", "bridge_http__listen"})
_HERE = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - told apart, not listened on
_FULL = ("--url", "--wait", "--config", "-c")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of which bridge. `url` None: the address follows from the configuration."""

    what: str = "ready"
    url: str | None = None
    config: Path | None = None
    wait: float = 0.0

    def answer(self, env: Mapping[str, str] = os.environ) -> str:
        """Returns a line about a bridge that is live or ready, within `wait` seconds; raises BridgeError if there is none, and
        SettingsError if the address is unknown.
        """
        url = self.url or (None if self.config else env.get("BRIDGE_URL"))
        base = _base(url) if url else address(self.config, env)
        until = time.monotonic() + self.wait
        while True:
            try:
                return _told(base, self.what, env)
            except BridgeError:
                if time.monotonic() + _EVERY > until:
                    raise
            time.sleep(_EVERY)


def quick(words: Sequence[str]) -> int | None:
    """Answers a question in plain arguments and returns the exit code; None for arguments that Typer has to explain."""
    question = _plain(words)
    if question is None:
        return None
    try:
        sys.stdout.write(f"{question.answer()}\n")
    except SettingsError as error:
        return _failed(error, 2)
    except BridgeError as error:
        return _failed(error, 1)
    return 0


def _failed(error: BridgeError, code: int) -> int:
    for line in str(error).splitlines():
        sys.stderr.write(f"error: {line}\n")
    return code


def _plain(words: Sequence[str]) -> Question | None:
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in {"--live", "--ready"} and not equals:
            given["what"] = name[2:]
        elif name in _FULL:
            given[name] = value if equals else next(rest, "")
        else:
            return None
    try:
        wait = _span(given.get("--wait", "0"))
    except ValueError:
        return None
    file = given.get("--config") or given.get("-c")
    if "" in given.values():
        return None
    return Question(given.get("what", "ready"), given.get("--url"), Path(file) if file else None, wait)


def _span(text: str) -> float:
    """Returns the seconds of `60s`, `5m` or `60`; raises ValueError for times that are not written so, or too long."""
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text[-1:], 0.0)
    found = float(text[:-1]) * unit if unit else float(text)
    if not 0 <= found <= _LONGEST:
        raise ValueError(text)
    return found


# The address: where a bridge of this configuration listens.


def address(file: Path | None, env: Mapping[str, str]) -> str:
    """Returns the local base URL of http.listen, as the configuration states it; raises SettingsError if it is not valid."""
    found = _stated(_file(file, env), env)
    try:
        parts = urlsplit(f"//{found.strip()}") if found is not None else None
        host, port = (parts.hostname, parts.port) if parts else (None, None)
    except ValueError:
        port = None
    if port is None:
        host, port = _loaded(_file(file, env), env)
    if port == 0:
        raise _usage("--url", "the bridge listens on any free port (http.listen): say which")
    here = _HERE.get(host, host)
    return f"http://[{here}]:{port}" if ":" in str(here) else f"http://{here}:{port}"


def _file(file: Path | None, env: Mapping[str, str]) -> Path | None:
    chosen = file or env.get("BRIDGE_CONFIG") or "bridge.yaml"
    return Path(chosen) if file or env.get("BRIDGE_CONFIG") or Path(chosen).exists() else None


def _stated(file: Path | None, env: Mapping[str, str]) -> str | None:
    """Returns http.listen if one place states it as plain text; None if the settings have to be loaded to know it."""
    if env.get("BRIDGE_ENV_FILE"):
        return None
    if stated := env.get("BRIDGE_HTTP__LISTEN", "").strip():
        return stated
    secrets = Path(env.get("BRIDGE_SECRETS_DIR") or "/run/secrets")
    names = [*env, *(each.name for each in secrets.glob("BRIDGE_*"))]
    if any(name.lower() in _LISTEN for name in names):
        return None
    return USUAL if file is None else _of_file(file)


def _of_file(file: Path) -> str | None:
    from bridge.settings.yaml import read

    value = read(file).value
    http = value.get("http", {}) if isinstance(value, dict) else None
    listen = http.get("listen", USUAL) if isinstance(http, dict) else None
    return listen if isinstance(listen, str) and "${" not in listen else None


def _loaded(file: Path | None, env: Mapping[str, str]) -> tuple[str | None, int]:
    from bridge.settings.loading import load_with_places
    from bridge.settings.transport import host_and_port

    return host_and_port(load_with_places(file, env, sections={"http"}).sound().http.listen)


def _base(url: str) -> str:
    whole = url.strip().rstrip("/")
    whole = whole if "://" in whole else f"http://{whole}"
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not whole.isascii():
        raise _usage("--url", f"{url!r} is no address such as http://127.0.0.1:8080")
    return whole.removesuffix("/v1").removesuffix("/api")


def _usage(option: str, message: str) -> SettingsError:
    return SettingsError([Problem(option, message)])


# The question.


def _told(base: str, what: str, env: Mapping[str, str]) -> str:
    status, document = _asked(base, f"/health/{what}", env)
    if what not in document:
        raise BridgeError(f"GET {base}/health/{what}: {status}: that is no answer of a bridge")
    doing = ", ".join(_difficulties(document))
    state = str(document.get("status", ""))
    if status != 200:
        raise BridgeError(f"the bridge at {base} is not {what}: {doing or state or f'it answers {status}'}")
    return f"{what}: {base}" + (f", {state}" if state else "") + (f": {doing}" if doing else "")


def _asked(base: str, path: str, env: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    parts = urlsplit(base)
    try:
        connection = _connection(parts.scheme, str(parts.hostname), parts.port, env)
        try:
            connection.request("GET", parts.path + path, headers={"Accept": "application/json"})
            response = connection.getresponse()
            status, body = response.status, response.read(_MOST)
        finally:
            connection.close()
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BridgeError(f"no bridge answers at {base}: {reason}") from None
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    return status, document if isinstance(document, dict) else {}


def _connection(scheme: str, host: str, port: int | None, env: Mapping[str, str]) -> HTTPConnection:
    if scheme == "http":
        return HTTPConnection(host, port, timeout=_PATIENCE)
    import ssl

    trusted = ssl.create_default_context(cafile=env.get("BRIDGE_CA_FILE") or None)
    return HTTPSConnection(host, port, timeout=_PATIENCE, context=trusted)


def _difficulties(document: Mapping[str, Any]) -> Iterator[str]:
    """Yields what the answer of /health/ready says is not as it should be."""
    if document.get("database") == "down":
        yield "database down"
    down = [role for role, state in dict(document.get("broker", {})).items() if state != "up"]
    if down:
        yield f"broker down ({', '.join(down)})"
    for source, state in dict(document.get("consumers", {})).items():
        if state not in {"consuming", "standing_by"}:
            yield f"source {source} {state}"
    if broken := dict(document.get("broken_hooks", {})).get("count"):
        yield f"broken hooks: {broken}"
    yield from map(str, document.get("problems", ()))
