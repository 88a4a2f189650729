"""The settings without secrets, for display."""

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, assert_never
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from bridge.core.target import Auth, NotifyTarget, QueueTarget, ScriptTarget, WebhookTarget
from bridge.settings.shape import TELLING, tells

HIDDEN = "***"
_ADDRESSES = frozenset({"url", "proxy", "endpoints"})
_NAMED_VALUES = frozenset({"headers", "env"})
_PARAMETER = re.compile(r"([?&])([^=&#]*)=([^&#]*)")
_ARGUMENT = re.compile(r"(?P<name>[^=:\s]+)(?P<sign>=|:\s*)(?P<value>.+)", re.DOTALL)


def shown(settings: BaseModel) -> dict[str, Any]:
    """Returns the settings without secrets: secret keys are omitted, secret parts are `***`."""
    if isinstance(settings, Auth):
        return {"type": settings.type}
    return {name: _shown(name, value) for name, value in settings if not _is_secret(value)}


def _is_secret(value: Any) -> bool:
    """Returns whether the type of a value is secret; an empty list of secrets is not, and shows that there is none."""
    if isinstance(value, list | tuple):
        return any(isinstance(each, SecretStr) for each in value)
    return isinstance(value, SecretStr)


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, BaseModel):
        return shown(value)
    if name in _NAMED_VALUES and isinstance(value, Mapping):
        return {key: text for key, text in value.items() if not tells(key, text)}
    if name in _ADDRESSES:
        return _each_address(value)
    return _arguments(value) if name == "command" else value


def _each_address(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: without_password(text) for key, text in value.items()}
    return without_password(value) if isinstance(value, str) else value


def without_password(url: str) -> str:
    """Returns the address with `***` for user and password, and for values of the query with the names of secrets."""
    try:
        login = urlsplit(url).netloc.rpartition("@")[0]
    except ValueError:
        return HIDDEN
    if login:
        url = url.replace(f"{login}@", f"{HIDDEN}@", 1)
    return _PARAMETER.sub(_without_value, url)


def _without_value(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}={HIDDEN if _tells(found[2]) else found[3]}"


def _arguments(command: Sequence[str]) -> list[str]:
    """Returns the command with the secrets masked in `--token=x`, `Authorization: x` and after `--password`."""
    given: list[str] = []
    after_telling = False
    for argument in command:
        found = _ARGUMENT.fullmatch(argument)
        if after_telling:
            given.append(HIDDEN)
        elif found and _tells(found["name"]):
            given.append(f"{found['name']}{found['sign']}{HIDDEN}")
        else:
            given.append(without_password(argument))
        after_telling = not found and argument.startswith("-") and _tells(argument)
    return given


def _tells(name: str) -> bool:
    return bool(TELLING.search(name)) or name.lower() in {"sig", "pass", "pwd"}


def address_of(target: WebhookTarget | ScriptTarget | QueueTarget | NotifyTarget) -> str:
    """Returns the URL, command, queue, or services of a target."""
    match target:
        case WebhookTarget():
            return without_password(target.url)
        case ScriptTarget():
            return " ".join(shown(target)["command"])
        case QueueTarget():
            return _queue(target)
        case NotifyTarget():
            return ", ".join(_service(each.get_secret_value()) for each in target.urls)
        case _:
            assert_never(target)


def _queue(target: QueueTarget) -> str:
    if target.queue is not None:
        where = target.queue
    else:
        where = f"exchange {target.exchange or '(default)'}, routing key {target.routing_key or '(none)'}"
    return f"{where} at {target.broker}" if target.broker else where


def _service(url: str) -> str:
    """Returns the scheme only: each service has its token in another part of the address."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    return f"{scheme or HIDDEN}://{HIDDEN}"


def settings_digest(target: WebhookTarget | ScriptTarget | QueueTarget | NotifyTarget) -> str:
    """Returns a digest that changes with the settings of a target, but not with its secrets."""
    return sha256(json.dumps(shown(target), sort_keys=True, default=str).encode()).hexdigest()[:16]
