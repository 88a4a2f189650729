"""The HTTP of Apprise's plugins, bounded.

They call requests.post(), which makes a new session each time and leaves nothing to hand in (Apprise 2.2). The
one place to stand is the adapter that every new session mounts: this one behaves as its original in every thread
but those that work for a Call.
"""

import io
from typing import Any

import requests
from requests import PreparedRequest, Response, sessions
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from bridge.targets.notify.guard import Call, Reply, current

_MOST_BYTES = 256 * 1024
"""Bytes of an answer that are read; answers to notifications are short."""
_KEPT = 16 * 1024
_CHUNK = 16 * 1024


class _AsWritten(HTTPConnection):
    """Asks for what the call's URL says, byte for byte."""

    def putrequest(self, method: str, url: str, *args: Any, **options: Any) -> None:
        """The last place before the request line is written: all above it encode the target anew."""
        call = current()
        if call is not None and call.asks_for is not None:
            url = call.asks_for.instead_of(url)
        super().putrequest(method, url, *args, **options)


class _AsWrittenByTls(_AsWritten, HTTPSConnection):
    """The same by TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _AsWritten


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _AsWrittenByTls


class BoundedAdapter(HTTPAdapter):
    """Sends within the call's deadline, reads a bounded answer, and remembers it for the call.

    Proxies of the environment are not used: the address gate could not see where a request goes. After a 429
    the same URL is not asked again in the same call, as Discord's plugin would at once.
    """

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As HTTPAdapter's, with our connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """As HTTPAdapter.send; a session gives all but the request by name."""
        call = current()
        if call is None:
            return super().send(request, *args, **options)
        url = request.url or ""
        if url in call.limited:
            raise requests.ConnectionError("asked to wait a moment ago", request=request)
        left = _left(call, request)
        timeout = options.get("timeout")
        waits = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        connect, read = (left if wait is None else min(float(wait), left) for wait in waits)
        bounded = {"stream": True, "timeout": (connect, read), "proxies": {}}
        response = super().send(request, *args, **{**options, **bounded})
        if response.status_code == 429:
            call.limited.add(url)
        try:
            _read(call, response)
        except HTTPError as error:
            # Plugins expect the exceptions of requests only, as a session that reads by itself raises.
            raise requests.ConnectionError(error, request=request) from error
        return response


def _left(call: Call, request: PreparedRequest) -> float:
    try:
        return call.left()
    except TimeoutError as error:
        raise requests.Timeout(str(error), request=request) from error


def _read(call: Call, response: Response) -> None:
    raw = response.raw
    body = bytearray()
    try:
        while len(body) < _MOST_BYTES and (chunk := raw.read(_CHUNK, decode_content=True)):
            body += chunk
            _left(call, response.request)
    finally:
        raw.close()
        # Also an answer that breaks off: its status stands.
        call.replies.append(
            Reply(response.status_code, response.headers.get("Retry-After", ""), bytes(body[:_KEPT]))
        )
    response.raw = io.BytesIO(bytes(body))


vars(sessions)["HTTPAdapter"] = BoundedAdapter
