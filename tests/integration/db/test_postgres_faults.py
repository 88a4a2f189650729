"""PostgreSQL goes away and comes back; what is committed is there, and the password is told to nobody."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from bridge.core.errors import HistoryUnavailable
from bridge.history.history import SqlHistory, open_history
from devtools.nodes.postgres_install import find_postgres
from devtools.postgres import PostgresServer
from tests.support.proxy import Proxy, open_proxy
from tests.support.records import a_delivery, an_event, delivered, look, newest


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that may be harmed."""
    if find_postgres() is None:
        pytest.skip("no PostgreSQL server to harm on this machine")
    with PostgresServer.start(settings=["max_connections=12"]) as started:
        yield started


@pytest.fixture
async def history(server: PostgresServer) -> AsyncIterator[SqlHistory]:
    opened = await open_history(server.url, timeout=5)
    yield opened
    await opened.close()


async def _count(history: SqlHistory, *hooks: str) -> int:
    return sum(row.hook in hooks for row in await newest(history, 1000))


async def test_commits_go_on_after_the_server_was_killed(server: PostgresServer, history: SqlHistory):
    assert await history.commit([delivered(a_delivery(hook="before"))]) == []
    record = delivered(a_delivery(hook="after"))

    await asyncio.to_thread(server.kill)
    try:
        with pytest.raises(HistoryUnavailable):
            await history.commit([record])
        with pytest.raises(HistoryUnavailable):
            await history.ping()
    finally:
        await asyncio.to_thread(server.restart)

    assert await history.commit([record]) == []
    assert await _count(history, "before", "after") == 2


async def test_an_orderly_restart_is_not_even_noticed(server: PostgresServer, history: SqlHistory):
    await history.commit([delivered()])

    await asyncio.to_thread(server.restart)

    assert await history.commit([delivered(a_delivery(hook="restarted"))]) == []
    assert await _count(history, "restarted") == 1


async def test_a_connection_that_was_ended_is_replaced_at_once(server: PostgresServer, history: SqlHistory):
    await history.commit([delivered()])

    ended = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'amqp-bridge'"
    )
    assert await look(server.url, ended) != [(0,)]

    assert await history.commit([delivered(a_delivery(hook="replaced"))]) == []


@pytest.fixture
async def proxy(server: PostgresServer) -> AsyncIterator[Proxy]:
    async with open_proxy(server.port) as opened:
        yield opened


def _through(proxy: Proxy, server: PostgresServer) -> str:
    parts = urlsplit(server.url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}").geturl()


async def test_a_server_that_says_nothing_is_given_up_in_time(server: PostgresServer, proxy: Proxy):
    history = await open_history(_through(proxy, server), timeout=1)
    record = delivered(a_delivery(hook="silence"))
    proxy.silent = True
    async with asyncio.timeout(8):
        with pytest.raises(HistoryUnavailable, match="Timeout"):
            await history.commit([record])

    proxy.silent = False
    assert await history.commit([record]) == []
    assert await _count(history, "silence") == 1
    await history.close()


async def test_connections_cut_on_the_way_are_replaced_at_once(server: PostgresServer, proxy: Proxy):
    history = await open_history(_through(proxy, server), timeout=5)
    proxy.cut()

    assert await history.commit([delivered(a_delivery(hook="cut"))]) == []
    await history.close()


async def test_a_slow_way_takes_large_bodies_in_more_time_than_a_transaction_has(
    server: PostgresServer, proxy: Proxy
):
    history = await open_history(_through(proxy, server), timeout=1)
    proxy.rate = 1_000_000
    event = an_event(body=os.urandom(3_000_000))
    record = delivered(a_delivery(event, hook="slow"))

    assert await history.commit([record]) == []
    proxy.rate = None
    assert (await history.known([record.delivery.id])).keys() == {record.delivery.id}
    await history.close()


async def test_no_free_connection_is_an_outage_that_ends(server: PostgresServer, history: SqlHistory):
    await history.close()
    others = await _all_connections(server)
    try:
        with pytest.raises(HistoryUnavailable, match="TooManyConnections"):
            await open_history(server.url)
    finally:
        for other in others:
            await other.close()

    again = await open_history(server.url)
    await again.ping()
    await again.close()


async def _all_connections(server: PostgresServer) -> list[asyncpg.Connection]:
    taken = []
    while True:
        try:
            taken.append(await asyncpg.connect(server.url))
        except asyncpg.TooManyConnectionsError:
            return taken


async def test_a_database_that_takes_no_writes_is_an_outage_not_a_refusal(server: PostgresServer):
    """A replica of the database, or one behind a failover."""
    await look(server.url, "CREATE DATABASE read_only")
    url = urlsplit(server.url)._replace(path="/read_only").geturl()
    await (await open_history(url)).close()
    await look(url, "ALTER DATABASE read_only SET default_transaction_read_only = on")
    history = await open_history(url)

    with pytest.raises(HistoryUnavailable, match="ReadOnly"):
        await history.commit([delivered()])
    await history.close()


async def test_a_lost_table_is_an_outage_not_a_refusal(server: PostgresServer):
    await look(server.url, "CREATE DATABASE lost")
    url = urlsplit(server.url)._replace(path="/lost").geturl()
    history = await open_history(url)
    await look(url, "DROP TABLE attempts")

    with pytest.raises(HistoryUnavailable, match="UndefinedTable"):
        await history.commit([delivered()])
    assert await history.counts_by_status() == {}
    await history.close()


@pytest.mark.parametrize("fault", ["wrong password", "no such database", "nobody listens"])
async def test_the_password_stands_in_no_message(fault: str, server: PostgresServer):
    parts = urlsplit(server.url)
    secret = "s3cr3t" if fault == "wrong password" else str(parts.password)
    port = 1 if fault == "nobody listens" else parts.port
    database = "nowhere" if fault == "no such database" else "postgres"

    with pytest.raises(HistoryUnavailable) as caught:
        await open_history(f"postgresql://{parts.username}:{secret}@127.0.0.1:{port}/{database}")

    error: BaseException | None = caught.value
    while error is not None:
        assert secret not in f"{error!s} {error!r}"
        error = error.__cause__ or error.__context__


async def test_a_row_with_a_foreign_id_is_refused_alone(history: SqlHistory):
    bad, good = delivered(a_delivery(id="dlv_1")), delivered(a_delivery(hook="native"))

    ((entry, reason),) = await history.commit([good, bad])

    assert entry is bad
    assert "dlv_1" in reason
    assert await _count(history, "native") == 1


@pytest.mark.parametrize("mode", ["disable", "prefer"])
async def test_a_server_without_tls_is_used_where_the_address_allows_it(mode: str, server: PostgresServer):
    history = await open_history(f"{server.url}?sslmode={mode}")
    await history.ping()
    await history.close()


async def test_a_server_without_tls_is_not_used_where_tls_is_required(server: PostgresServer):
    with pytest.raises(HistoryUnavailable):
        await open_history(f"{server.url}?sslmode=require")
