"""Connections to PostgreSQL, encrypted and verified unless somebody decided otherwise."""

import asyncio
import ssl
from typing import Any

import asyncpg
from sqlalchemy import URL

from bridge.model.errors import HistoryUnavailable
from bridge.rules.wire.loopback import is_loopback
from bridge.settings.certificates import tls_context
from bridge.settings.transport import StorageTls
from bridge.telemetry import events

_EXPIRED = 10
_ANOTHER_NAME = frozenset({62, 63, 64})


class SecureConnector:
    """Makes connections to one server. Certificates are read anew for each, so that they may be exchanged.

    Whoever sits in between can make a server look like one without TLS, unless TLS is required. A server on this
    machine need not prove who it is, unless TLS is required or `verify` says so.
    """

    def __init__(self, url: URL, tls: StorageTls, **options: Any) -> None:
        """`url` may have the query parameter `sslmode`, which then decides as libpq understands it."""
        self._given = {**url.translate_connect_args(username="user"), **options}
        self._sslmode = url.query.get("sslmode")
        self._tls = tls
        self._required = tls.mode == "require" or tls.ca is not None or tls.cert is not None
        self._warned = here = is_loopback(url.host or "")
        if here and not self._required and "verify" not in tls.model_fields_set:
            # Nobody sits in between, and Debian's server shows a certificate that it made for itself.
            self._tls = tls.model_copy(update={"verify": False})

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of the driver's; raises its errors, and HistoryUnavailable where TLS is what fails."""
        if self._sslmode is not None or self._tls.mode == "off":
            return await asyncpg.connect(ssl=self._sslmode or False, **self._given)
        try:
            return await asyncpg.connect(ssl=await self._context(), **self._given)
        except ssl.SSLError as error:
            raise HistoryUnavailable(_refusal(error)) from error
        except ConnectionError as error:
            # asyncpg 0.31 has no error of its own for a server that answers that it has no TLS.
            if type(error) is not ConnectionError:
                raise
            if self._required:
                raise HistoryUnavailable(
                    "the server offers no TLS, which storage.tls asks for: switch it on there (ssl = on)"
                ) from error
        if not self._warned:
            self._warned = True
            events.database_in_the_open(self._given["host"])
        return await asyncpg.connect(ssl=False, **self._given)

    async def _context(self) -> ssl.SSLContext:
        try:
            return await asyncio.to_thread(tls_context, self._tls)
        except ValueError as error:
            raise HistoryUnavailable(f"storage.tls: {error}") from error


def _refusal(error: ssl.SSLError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS with the server failed ({error.reason or error}); see storage.tls"
    if error.verify_code == _EXPIRED:
        mend = "the server needs a new one"
    elif error.verify_code in _ANOTHER_NAME:
        mend = "write in storage.url a name that stands in the certificate"
    else:
        mend = (
            "give the certificate of its authority (or its own, if self-signed) in storage.tls.ca; sslmode=require in "
            "storage.url does without verification, storage.tls: {mode: off} without TLS"
        )
    return f"the server's certificate is not accepted: {error.verify_message}; {mend}"
