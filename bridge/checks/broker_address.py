"""The address of a broker, with the login and the certificates to use there."""

from functools import partial

from bridge.amqp.connection import Address
from bridge.core.target import Auth
from bridge.settings.transport import BrokerOAuth2, tls_context
from bridge.settings.tree import Broker, OtherBroker
from bridge.targets.webhook.address import parse_url
from bridge.targets.webhook.oauth import OAuthTokenProvider


def broker_address(where: Broker | OtherBroker, broker: Broker, path: str = "broker") -> Address:
    """How to connect to `where`, whose settings stand at `path`, with the bounds of `broker`."""
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
