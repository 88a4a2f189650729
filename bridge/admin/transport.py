"""What is wrong with the ways to broker and database: certificates, keys, token endpoints. Nothing is contacted."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from bridge.model.errors import Problem
from bridge.rules.wire.loopback import is_loopback
from bridge.settings.certificates import no_password
from bridge.settings.databases import PostgresServer
from bridge.settings.transport import ServerTls
from bridge.settings.tree import Broker, OtherBroker, Settings
from bridge.targets.web.endpoint import parse_url


def transport_problems(settings: Settings) -> Iterator[Problem]:
    """Files that cannot be used and addresses that cannot be asked."""
    for path, broker in _brokers(settings):
        yield from broker_problems(path, broker)
    yield from tls_problems("storage.tls", settings.storage.tls)
    database = settings.storage.database
    if isinstance(database, PostgresServer) and (asked := database.tls):
        for problem in tls_problems("", asked.files):
            yield replace(problem, path="storage.url")


def broker_problems(path: str, broker: Broker | OtherBroker) -> Iterator[Problem]:
    """What no connection to this broker, whose settings stand at `path`, can be made with."""
    for where, tls in _broker_tls(path, broker):
        yield from tls_problems(where, tls)
    if broker.oauth2 is not None:
        yield from tried(f"{path}.oauth2.token_url", parse_url, broker.oauth2.token_url)


def transport_warnings(settings: Settings) -> Iterator[Problem]:
    """Certificates that have ended, and secrets that travel in the open. The settings have no problems."""
    for path, tls in _all_tls(settings):
        if tls.cert is not None and (ended := _ended(Path(tls.cert))):
            yield Problem(
                f"{path}.cert", f"{tls.cert} ended at {ended:%Y-%m-%d %H:%M} UTC; the other side refuses it"
            )
    for path, broker in _brokers(settings):
        if broker.oauth2 is not None:
            url = parse_url(broker.oauth2.token_url)
            if url.origin.scheme == "http" and not is_loopback(url.host):
                yield Problem(
                    f"{path}.oauth2.token_url", "client secret and tokens travel in the open; use https://"
                )


def tls_problems(path: str, tls: ServerTls) -> Iterator[Problem]:
    """Certificates and keys that cannot be used; `path` is where `tls` stands."""
    context = ssl.create_default_context()
    if tls.ca is not None:
        yield from tried(f"{path}.ca", context.load_verify_locations, tls.ca)
    if tls.cert is not None:
        yield from tried(
            f"{path}.cert",
            lambda cert: context.load_cert_chain(cert, tls.key, password=no_password),
            tls.cert,
        )


def _brokers(settings: Settings) -> Iterator[tuple[str, Broker | OtherBroker]]:
    yield "broker", settings.broker
    for name, broker in settings.brokers.items():
        yield f"brokers.{name}", broker


def _all_tls(settings: Settings) -> Iterator[tuple[str, ServerTls]]:
    for path, broker in _brokers(settings):
        yield from _broker_tls(path, broker)
    yield "storage.tls", settings.storage.tls


def _broker_tls(path: str, broker: Broker | OtherBroker) -> Iterator[tuple[str, ServerTls]]:
    yield f"{path}.tls", broker.tls
    if broker.oauth2 is not None:
        yield f"{path}.oauth2.tls", broker.oauth2.tls


def _ended(file: Path) -> datetime | None:
    """When the certificate ended, if it has."""
    end = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    return end if end < datetime.now(UTC) else None


def tried(path: str, using: Callable[[str], object], text: str) -> list[Problem]:
    """The problem of the setting at `path`, if there is one when its text is used."""
    try:
        using(text)
    except ssl.SSLError as error:
        return [Problem(path, f"no usable PEM in {text}: {error.reason or error}")]
    except OSError as error:
        return [Problem(path, f"{error.filename or text} cannot be read: {error.strerror}")]
    except ValueError as error:
        return [Problem(path, str(error))]
    return []
