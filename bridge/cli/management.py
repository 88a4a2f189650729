"""Policies in force, as RabbitMQ's management API tells them."""

from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from bridge.cli.failures import usage
from bridge.model.errors import SettingsError
from bridge.ports.survey import FoundPolicies
from bridge.settings.tree import Broker

_PATIENCE = 5.0
_USUAL_PORTS = {"amqp": ("http", 15672), "amqps": ("https", 15671)}
_NOTHING: dict[str, Any] = {}


def policies(broker: Broker, given: str | None) -> FoundPolicies:
    """Effective policies by queue of the broker's virtual host.

    `given` is the API's address, which may hold a login; else that beside the broker is tried, with its login.
    """
    parts = urlsplit(broker.url[0].get_secret_value())
    vhost = quote(unquote(parts.path[1:]) if len(parts.path) > 1 else "/", safe="")
    address, login = _address(parts.scheme, parts.hostname or "", given), (parts.username, parts.password)
    if given is not None and urlsplit(given).username is not None:
        login = (urlsplit(given).username, urlsplit(given).password)
    try:
        return FoundPolicies(_asked(f"{address}/api/queues/{vhost}", _plain(login)))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        return FoundPolicies({}, f"{address}: {str(error) or type(error).__name__}")


def _address(scheme: str, host: str, given: str | None) -> str:
    if given is None:
        kind, port = _USUAL_PORTS.get(scheme, ("http", 15672))
        return f"{kind}://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        parts = urlsplit(given)
        reachable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        reachable = False
    if not reachable:
        raise _no_address()
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/').removesuffix('/api')}"


def _no_address() -> SettingsError:
    return usage("--management-url", "no address such as http://user:password@127.0.0.1:15672")


def _plain(login: tuple[str | None, str | None]) -> tuple[str, str]:
    return unquote(login[0] or "guest"), unquote(login[1] or "guest")


def _asked(url: str, login: tuple[str, str]) -> dict[str, Any]:
    columns = "name,effective_policy_definition"
    with httpx.Client(auth=login, timeout=_PATIENCE) as client:
        answer = client.get(url, params={"columns": columns, "disable_stats": "true"})
        answer.raise_for_status()
        rows = answer.json()
    return {row["name"]: row.get("effective_policy_definition") or _NOTHING for row in rows}
