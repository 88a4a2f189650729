"""The monitor of what ends at a known time: client certificates and tokens of the API. It only measures."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from bridge.access.store import SqlAccess
from bridge.core.access import KnownToken
from bridge.core.errors import HistoryUnavailable
from bridge.core.hook import Hook
from bridge.core.target import WebhookTarget
from bridge.http.auth import is_good
from bridge.pipeline.hook_table import HookTable
from bridge.settings.databases import PostgresServer
from bridge.settings.tree import Settings
from bridge.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_EVERY = 15.0
_LASTING = 30 * 86_400.0
"""Seconds from which on a token is one that somebody has to renew, and not one for a single task."""


class ExpiryMonitor:
    """Measures four times a minute when certificates and tokens end; files are read anew, as they are for each connection."""

    def __init__(self, settings: Settings, table: HookTable, tokens: SqlAccess, metrics: Metrics) -> None:
        self._files = _files_of(settings)
        self._table = table
        self._tokens = tokens
        self._metrics = metrics

    async def run(self) -> None:
        """Measures until cancelled."""
        while True:
            files = self._files | _files_of_hooks(runner.hook for runner in self._table)
            self._metrics.certificates_end(await asyncio.to_thread(_ends_of, files))
            try:
                self._metrics.token_expiry.value = _next_end(await self._tokens.tokens(), time.time())
            except HistoryUnavailable as error:
                log.debug("expiry.not_seen", error=str(error))
            await asyncio.sleep(_EVERY)


def _files_of(settings: Settings) -> dict[str, str]:
    """Returns the files of the client certificates in the settings, by use."""
    database, cert = settings.storage.database, settings.storage.tls.cert
    if isinstance(database, PostgresServer) and database.tls is not None:
        cert = database.tls.files.cert
    named = {"broker": settings.broker.tls.cert, "database": cert}
    named |= {f"broker:{name}": broker.tls.cert for name, broker in settings.brokers.items()}
    return {use: file for use, file in named.items() if file is not None}


def _files_of_hooks(hooks: Iterable[Hook]) -> dict[str, str]:
    return {
        f"hook:{hook.id}": hook.target.tls.client_cert
        for hook in hooks
        if isinstance(hook.target, WebhookTarget) and hook.target.tls.client_cert is not None
    }


def _ends_of(files: Mapping[str, str]) -> dict[str, float]:
    """Returns the Unix time at which the first certificate of each file ends; without files that cannot be read, which
    connections report.
    """
    ends: dict[str, float] = {}
    if not files:
        return ends
    from cryptography.x509 import load_pem_x509_certificates  # 9 MB

    for use, file in files.items():
        try:
            chain = load_pem_x509_certificates(Path(file).read_bytes())
            ends[use] = min(each.not_valid_after_utc.timestamp() for each in chain)
        except (OSError, ValueError) as error:
            log.debug("expiry.not_seen", use=use, error=str(error))
    return ends


def _next_end(tokens: Iterable[KnownToken], now: float) -> float:
    """Returns the Unix time at which the next lasting token ends; NaN if none does."""
    ends = [
        token.expires_at
        for token in tokens
        if token.expires_at is not None
        and is_good(token, now)
        and token.expires_at - token.created_at >= _LASTING
    ]
    return min(ends, default=float("nan"))
