"""TLS to PostgreSQL: verified wherever the server offers it, and told of where it does not."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog
from sqlalchemy import text

from bridge.core.errors import HistoryUnavailable
from bridge.db.survey import survey_database
from bridge.history.history import open_history
from bridge.settings.transport import StorageTls
from devtools.nodes.postgres_install import find_postgres
from devtools.postgres import PostgresServer
from tests.support.certificates import Authority, Files
from tests.support.postgres import execute
from tests.support.waiting import until

_TCP = "all all 127.0.0.1/32 scram-sha-256"


@dataclass(frozen=True)
class Server:
    """A server whose TLS is switched while it runs."""

    running: PostgresServer
    authority: Authority

    async def set_up(self, files: Files | None, access: str = "") -> None:
        """Show this certificate, or offer no TLS; `access` is asked over TLS in addition."""
        data = self.running.folder / "data"
        (data / "pg_hba.conf").write_text(f"hostnossl {_TCP}\nhostssl {_TCP} {access}\n")
        if files is not None:
            self._give(files.cert, data / "server.crt")
            self._give(files.key, data / "server.key")
            self._give(self.authority.file, data / "clients.crt")
        before = await self._loaded_at()
        plain = self.url(query="sslmode=disable")
        await execute(plain, "alter system set ssl_ca_file = 'clients.crt'")
        await execute(plain, f"alter system set ssl = {'off' if files is None else 'on'}")
        await execute(plain, "select pg_reload_conf()")

        async def loaded() -> bool:
            return await self._loaded_at() > before

        await until(loaded)

    async def _loaded_at(self) -> float:
        connection = await asyncpg.connect(self.running.url, ssl=False)
        try:
            return float(await connection.fetchval("select extract(epoch from pg_conf_load_time())"))
        finally:
            await connection.close()

    def _give(self, file: Path, to: Path) -> None:
        to.write_bytes(file.read_bytes())
        to.chmod(0o600)
        owner = to.parent.stat()
        os.chown(to, owner.st_uid, owner.st_gid)

    def url(self, host: str = "127.0.0.1", query: str = "") -> str:
        parts = urlsplit(self.running.url)
        netloc = f"{parts.username}:{parts.password}@{host}:{parts.port}"
        return parts._replace(netloc=netloc, query=query).geturl()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if find_postgres() is None:
        pytest.skip("no PostgreSQL server to set up on this machine")
    with PostgresServer.start() as running:
        yield Server(running, Authority(tmp_path_factory.mktemp("tls")))


async def encrypted(url: str, **tls: object) -> bool:
    """Whether a history opened like this talks to its server over TLS; raises what opening it raises."""
    history = await open_history(url, StorageTls.model_validate(tls))
    try:
        asked = text("select ssl from pg_stat_ssl where pid = pg_backend_pid()")
        return await history.engine.read(lambda connection: bool(connection.execute(asked).scalar_one()))
    finally:
        await history.close()


async def refused(url: str, **tls: object) -> str:
    with pytest.raises(HistoryUnavailable) as error:
        await encrypted(url, **tls)
    return str(error.value)


async def test_a_server_that_offers_tls_is_verified(server: Server, tmp_path: Path):
    await server.set_up(server.authority.issue("database"))
    ca, stranger = str(server.authority.file), str(Authority(tmp_path, "stranger").file)
    assert await encrypted(server.url(), ca=ca)
    assert await encrypted(server.url(), ca=ca, mode="require")
    assert await encrypted(server.url())
    for unknown in ({"verify": True}, {"mode": "require"}, {"ca": stranger}):
        said = await refused(server.url(), **unknown)
        assert "the server's certificate is not accepted" in said
        assert "storage.tls.ca" in said
    # Linux takes it for this machine; it is no address of the loopback.
    assert "the server's certificate is not accepted" in await refused(server.url("0.0.0.0"))
    assert "not valid for 'localhost'" in await refused(server.url("localhost"), ca=ca)
    found = await survey_database(server.url(), "postgresql://***", StorageTls(ca=stranger))
    assert "storage.tls.ca" in found.failure

    assert await encrypted(server.url(), verify=False)
    assert await encrypted(server.url(query="sslmode=require"))
    assert not await encrypted(server.url(query="sslmode=disable"))
    assert not await encrypted(server.url(), mode="off")

    await server.set_up(server.authority.issue("late", days=-1))
    assert "certificate has expired; the server needs a new one" in await refused(server.url(), ca=ca)


async def test_a_certificate_is_shown_to_a_server_that_asks_for_one(server: Server, tmp_path: Path):
    await server.set_up(server.authority.issue("database"), "clientcert=verify-ca")
    ca, mine = str(server.authority.file), server.authority.issue("bridge")
    assert await encrypted(server.url(), ca=ca, cert=str(mine.cert), key=str(mine.key))
    assert "client certificate" in await refused(server.url(), ca=ca)
    foreign = Authority(tmp_path, "foreign").issue("bridge")
    assert await refused(server.url(), ca=ca, cert=str(foreign.cert), key=str(foreign.key))
    mine.cert.unlink()
    assert f"cert {mine.cert}" in await refused(server.url(), ca=ca, cert=str(mine.cert), key=str(mine.key))


async def test_a_server_without_tls_is_told_of_unless_it_is_this_machine_or_tls_is_required(server: Server):
    await server.set_up(None)
    with structlog.testing.capture_logs() as logs:
        assert not await encrypted(server.url())
        assert not await encrypted(server.url("localhost"))
        assert [each["event"] for each in logs] == []
        # Linux takes it for this machine; it is no address of the loopback.
        assert not await encrypted(server.url("0.0.0.0"))
        assert [each["event"] for each in logs] == ["storage.unencrypted"]
        found = await survey_database(server.url("0.0.0.0"), "postgresql://***", StorageTls())
        assert not found.encrypted
    for required in ({"mode": "require"}, {"ca": str(server.authority.file)}):
        assert "the server offers no TLS" in await refused(server.url(), **required)
