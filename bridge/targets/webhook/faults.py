"""The conversion of HTTP errors to Answers. The texts contain host and port, never path, query or user."""

import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from bridge.core.delivery import Answer, Fault
from bridge.targets.webhook.pool import is_blocked


class OutOfTime(Exception):
    """The deadline of the attempt passed before a status was received."""


def answer_for(error: Exception) -> Answer:
    """Returns the Answer of an attempt that ended with `error`; BUG for an unexpected exception."""
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return meaning(error)
    return Answer(fault=Fault.BUG, error=f"{type(error).__name__}: {error}")


def _out_of_time(_: OutOfTime) -> Answer:
    return Answer(fault=Fault.TIMEOUT, error="no answer within the time limit")


def _no_connection(_: TimeoutError) -> Answer:
    return Answer(fault=Fault.TIMEOUT, error="no connection within the time limit")


def _dns(error: aiohttp.ClientConnectorDNSError) -> Answer:
    return Answer(fault=Fault.DNS, error=f"{error.host}: {error.os_error.strerror or 'not found'}")


def _certificate(error: aiohttp.ClientConnectorCertificateError) -> Answer:
    cause = error.certificate_error
    text = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
    return Answer(
        fault=Fault.TLS, error=f"the certificate of {error.host}:{error.port} is not accepted: {text}"
    )


def _handshake(error: aiohttp.ClientConnectorSSLError) -> Answer:
    return Answer(
        fault=Fault.TLS, error=f"TLS with {error.host}:{error.port} failed: {_tls_reason(error.os_error)}"
    )


def _not_connected(error: aiohttp.ClientConnectorError) -> Answer:
    cause = error.os_error
    proxy = "proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
    where = f"{proxy}{error.host}:{error.port}"
    if is_blocked(cause):
        return Answer(fault=Fault.BLOCKED_ADDRESS, error=f"{where}: {cause.strerror}")
    if isinstance(cause, TimeoutError):
        return Answer(fault=Fault.TIMEOUT, error=f"{where}: no connection")
    if isinstance(cause, ConnectionRefusedError):
        return Answer(fault=Fault.REFUSED, error=f"{where}: connection refused")
    return Answer(fault=Fault.CONNECTION, error=f"{where}: {_text(cause)}")


def _text(cause: OSError) -> str:
    # asyncio reports a peer that closes during the TLS handshake without an error message.
    return cause.strerror or str(cause) or "closed while connecting"


def _not_http(_: HttpProcessingError) -> Answer:
    return Answer(fault=Fault.CONNECTION, error="the answer is no valid HTTP")


def _proxy(error: aiohttp.ClientHttpProxyError) -> Answer:
    return Answer(fault=Fault.CONNECTION, error=f"the proxy answered {error.status}")


def _disconnected(_: aiohttp.ServerDisconnectedError) -> Answer:
    return Answer(fault=Fault.CONNECTION, error="the connection was closed without an answer")


def _broken(error: Exception) -> Answer:
    # A TLS alert after the handshake (TLS 1.3: "certificate required") arrives as the cause of a reset.
    if isinstance(error.__cause__, ssl.SSLError):
        return Answer(fault=Fault.TLS, error=f"TLS failed: {_tls_reason(error.__cause__)}")
    text = error.strerror if isinstance(error, OSError) else None
    return Answer(fault=Fault.CONNECTION, error=text or "the connection broke")


def _tls_reason(error: Exception) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else None) or str(error)


_MEANINGS: tuple[tuple[type[Exception], Callable[[Any], Answer]], ...] = (
    (OutOfTime, _out_of_time),
    (TimeoutError, _no_connection),
    (aiohttp.ClientConnectorDNSError, _dns),
    (aiohttp.ClientConnectorCertificateError, _certificate),
    (aiohttp.ClientConnectorSSLError, _handshake),
    (aiohttp.ClientConnectorError, _not_connected),
    (HttpProcessingError, _not_http),
    (aiohttp.ClientHttpProxyError, _proxy),
    (aiohttp.ServerDisconnectedError, _disconnected),
    (OSError, _broken),
    (aiohttp.ClientError, _broken),
)
"""Most specific first: aiohttp's errors inherit from one another."""
