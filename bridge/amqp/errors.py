"""The errors of connecting to the broker, with texts that say what to do."""

import ssl
from dataclasses import dataclass

from aiormq import exceptions as amqp

from bridge.core.errors import BrokerRefused, BrokerUnavailable, LoginRefused
from bridge.settings.transport import SecretUrl

_LONG_TOKEN = 3500
_EXPIRED, _NOT_YET = 10, 9
_UNKNOWN = frozenset({18, 19, 20, 21})
_ANOTHER_NAME = frozenset({62, 63, 64})
_WANTS_CERTIFICATE = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
    }
)


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt to connect: `where` is the path of its settings, `auth` how it logs in, `token` the length of its token."""

    url: str
    where: str
    auth: str
    token: int = 0


def redacted(url: str) -> str:
    """Returns the URL without passwords, its query included, for use in messages."""
    return str(SecretUrl(url))


def told(error: BaseException) -> str:
    """Returns the text of an error."""
    return " ".join(str(part) for part in error.args) or type(error).__name__


def meaning(attempted: Attempted, error: BaseException) -> BrokerRefused | BrokerUnavailable:
    """Returns the error of an attempt in the operator's terms."""
    url, cause = redacted(attempted.url), error.__cause__
    if isinstance(cause, ssl.SSLError):
        kind = LoginRefused if cause.reason in _WANTS_CERTIFICATE else BrokerRefused
        return kind(f"{url}: {_tls(attempted, cause)}")
    if isinstance(error, amqp.ProbableAuthenticationError | amqp.AuthenticationError):
        return LoginRefused(f"{url}: {_login(attempted, error)}")
    if isinstance(error, amqp.ConnectionNotAllowed | amqp.ConnectionClosed):
        return LoginRefused(f"{url}: {told(error)}; does the vhost exist, may the user use it?")
    if isinstance(error, amqp.InvalidFrameError):
        # aiormq 7.2 does not expose the reason that the broker gives when it closes during the handshake.
        return BrokerRefused(
            f"{url}: the broker ended the handshake; does the vhost exist, may the user use it, and is it a broker "
            "that listens there?"
        )
    text = told(error) if str(error) else "no answer in time"
    return BrokerUnavailable(f"{url}: {text}; {_perhaps(attempted, cause)}")


def _perhaps(attempted: Attempted, cause: BaseException | None) -> str:
    where = attempted.where
    if isinstance(cause, ConnectionResetError):
        if attempted.token > _LONG_TOKEN:
            return (
                f"the token has {attempted.token} characters, and before the login the broker takes 4,000 (RabbitMQ 4: "
                "8,000): ask for fewer scopes, or raise the broker's initial_frame_max"
            )
        if attempted.url.startswith("amqps:"):
            return (
                "does the broker want a client certificate, or another one: one that it trusts and that has not ended "
                f"({where}.tls.cert)?"
            )
        return f"is it a port for TLS (amqps:// in {where}.url)?"
    return f"does a broker listen there ({where}.url)?"


def _tls(attempted: Attempted, error: ssl.SSLError) -> str:
    where = attempted.where
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is not accepted: {error.verify_message}; {_mend(error, where)}"
    reason = error.reason or str(error)
    if reason in _WANTS_CERTIFICATE:
        return (
            f"the broker does not accept who connects ({reason}): {where}.tls.cert and key must be a client certificate "
            "that it trusts and that has not ended"
        )
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE"}:
        return f"no TLS is spoken there; write amqp:// in {where}.url, or the broker's port for TLS (usually 5671)"
    return f"TLS failed: {reason}; both sides need TLS 1.2 or newer"


def _mend(error: ssl.SSLCertVerificationError, where: str) -> str:
    code = error.verify_code
    if code == _EXPIRED:
        return "the broker needs a new one"
    if code == _NOT_YET:
        return "look at the clocks of both machines"
    if code in _ANOTHER_NAME:
        return f"write in {where}.url a name that stands in the certificate, or give the broker one with this name"
    if code in _UNKNOWN:
        return f"give the certificate of its authority (or its own, if self-signed) in {where}.tls.ca"
    return f"see {where}.tls"


def _login(attempted: Attempted, error: amqp.AMQPError) -> str:
    where = attempted.where
    if isinstance(error, amqp.AuthenticationError):
        offered = " ".join(map(str, error.args[:1])) or "nothing"
        plugin = " (enable its plugin rabbitmq_auth_mechanism_ssl, list EXTERNAL in its auth_mechanisms)"
        return (
            f"the broker does not offer the login that {where}.auth asks for, {attempted.auth}: it offers {offered}"
            + (plugin if attempted.auth == "external" else "")
        )
    said = f"the broker refused the login ({told(error)}); "
    if attempted.auth == "external":
        return said + (
            f"the name in the certificate {where}.tls.cert must be one of its users (its setting ssl_cert_login_from "
            "says which name counts), and it must see that certificate"
        )
    if attempted.auth == "oauth2":
        return said + (
            "does it know the key that signs the tokens, is its resource_server_id the token's audience, do the scopes "
            f"of {where}.oauth2 reach this vhost?"
        )
    return said + f"check user and password in {where}.url (guest may log in from localhost only)"
