"""The policies in force, from RabbitMQ's management API."""

from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from bridge.amqp.connection import Address
from bridge.core.survey import OUR_CONSUMERS, FoundPolicies, FoundPolicy, FoundQueue, Right
from bridge.core.target import Auth
from bridge.settings.transport import BrokerOAuth2, tls_context
from bridge.settings.tree import Broker, OtherBroker
from bridge.targets.webhook.address import parse_url
from bridge.targets.webhook.oauth import OAuthTokenProvider
from bridge.terminal.output import usage

if TYPE_CHECKING:
    import httpx

_PATIENCE = 5.0
_MOST_SOURCES = 100
_USUAL_PORTS = {"amqp": ("http", 15672), "amqps": ("https", 15671)}


def policies(broker: Broker, sources: Sequence[str], given: str | None) -> FoundPolicies:
    """Returns the policies and operator policies of the broker's virtual host, and the state of the queues of sources.

    `given` is the API's address, which may have credentials; else the one beside the broker is tried, with its credentials.
    """
    import httpx  # 6 MB that the bridge itself does not need

    parts = urlsplit(broker.url[0].get_secret_value())
    vhost = quote(vhost_of(broker), safe="")
    address, login = _address(parts.scheme, parts.hostname or "", given), (parts.username, parts.password)
    if given is not None and urlsplit(given).username is not None:
        login = (urlsplit(given).username, urlsplit(given).password)
    try:
        with httpx.Client(auth=_plain(login), timeout=_PATIENCE, verify=tls_context(broker.tls)) as client:
            own = _asked(client, f"{address}/api/policies/{vhost}")
            operators = _asked(client, f"{address}/api/operator-policies/{vhost}")
            return FoundPolicies(
                (*_policies(own), *_policies(operators, operator=True)),
                queues=tuple(_queues(client, f"{address}/api/queues/{vhost}", sources)),
                granted=_granted(client, f"{address}/api/permissions/{vhost}/{_user(parts.username)}"),
            )
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError) as error:
        return FoundPolicies(failure=f"{address}: {str(error) or type(error).__name__}")


def vhost_of(broker: Broker) -> str:
    """Returns the broker's virtual host."""
    path = urlsplit(broker.url[0].get_secret_value()).path
    return unquote(path[1:]) if len(path) > 1 else "/"


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
        raise usage("--management-url", "no address such as http://user:password@127.0.0.1:15672")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/').removesuffix('/api')}"


def _plain(login: tuple[str | None, str | None]) -> tuple[str, str]:
    return unquote(login[0] or "guest"), unquote(login[1] or "guest")


def _asked(client: "httpx.Client", url: str) -> Any:
    answer = client.get(url)
    answer.raise_for_status()
    return answer.json()


def _policies(rows: Any, *, operator: bool = False) -> Iterator[FoundPolicy]:
    for row in rows:
        name, pattern, apply_to = (str(row[key]) for key in ("name", "pattern", "apply-to"))
        yield FoundPolicy(name, pattern, apply_to, int(row["priority"]), dict(row["definition"]), operator)


def _queues(client: "httpx.Client", address: str, names: Sequence[str]) -> Iterator[FoundQueue]:
    """Yields the queues that exist; consumers of bridges are recognised by their tags."""
    for name in names[:_MOST_SOURCES]:
        answer = client.get(f"{address}/{quote(name, safe='')}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            continue
        told = answer.raise_for_status().json()
        kind = str(told.get("type", "classic"))
        yield FoundQueue(
            name, kind, dict(told.get("arguments") or {}), _foreign(told.get("consumer_details"))
        )


def _foreign(consumers: Any) -> tuple[str, ...] | None:
    """Returns the connections of consumers that are not bridges; None if the broker counts consumers without naming them."""
    if not consumers:
        return None
    others = (each for each in consumers if not str(each.get("consumer_tag", "")).startswith(OUR_CONSUMERS))
    return tuple(str((each.get("channel_details") or {}).get("connection_name", "?")) for each in others)


def _granted(client: "httpx.Client", address: str) -> dict[Right, str] | None:
    """Returns the permissions of the bridge's user; the API reports them to administrators only."""
    answer = client.get(address)
    if answer.status_code != HTTPStatus.OK:
        return None
    told = answer.json()
    return {right: str(told[right]) for right in ("configure", "write", "read")}


def _user(name: str | None) -> str:
    return quote(unquote(name or "guest"), safe="")


# The address of a broker, with credentials and certificates.


def broker_address(where: Broker | OtherBroker, broker: Broker, path: str = "broker") -> Address:
    """Returns how to connect to `where`, whose settings are at `path`, with the limits of `broker`."""
    oauth2 = where.oauth2 if where.auth == "oauth2" else None
    return Address(
        urls=[url.get_secret_value() for url in where.url],
        heartbeat=broker.heartbeat,
        connect_timeout=broker.connect_timeout,
        tls=partial(tls_context, where.tls),
        auth=where.auth,
        grants=None if oauth2 is None else _grants(oauth2, broker.connect_timeout, path),
        where=path,
    )


def _grants(oauth2: BrokerOAuth2, timeout: float, path: str) -> OAuthTokenProvider:
    auth = Auth(type="oauth2", **oauth2.model_dump(exclude={"tls"}))
    return OAuthTokenProvider(
        auth, parse_url(oauth2.token_url), partial(tls_context, oauth2.tls), timeout=timeout, where=path
    )
