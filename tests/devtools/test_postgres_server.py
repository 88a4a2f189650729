import asyncio
from collections.abc import Iterator

import asyncpg
import psutil
import pytest

from devtools.nodes import processes
from devtools.nodes.postgres_install import find_postgres, version_of_path
from devtools.postgres import PostgresServer, ServerError

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(find_postgres() is None, reason="no PostgreSQL server on this machine"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer.start() as started:
        yield started


def ask(server: PostgresServer, statement: str) -> object:
    async def fetch() -> object:
        connection = await asyncpg.connect(server.url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def main_process(server: PostgresServer) -> int:
    return int((server.folder / "processes" / "server").read_text().split()[0])


def test_its_user_may_create_databases(server: PostgresServer) -> None:
    assert ask(server, "select rolcreatedb from pg_roles where rolname = current_user") is True


def test_it_writes_through_to_the_disk(server: PostgresServer) -> None:
    assert ask(server, "show fsync") == "on"


def test_a_wrong_password_is_refused(server: PostgresServer) -> None:
    async def enter() -> None:
        await asyncpg.connect(server.url, password="wrong")

    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(enter())


def test_it_listens_on_the_loopback_only(server: PostgresServer) -> None:
    connections = psutil.Process(main_process(server)).net_connections(kind="inet")
    assert {entry.laddr.ip for entry in connections} == {"127.0.0.1"}


@pytest.mark.parametrize("end", [PostgresServer.halt, PostgresServer.kill])
def test_a_restart_keeps_port_and_committed_rows(server: PostgresServer, end) -> None:
    table = f"kept_{end.__name__}"
    ask(server, f"create table {table} as select 42 as answer")
    end(server)
    with pytest.raises(OSError):
        ask(server, "select 1")
    server.restart()
    assert ask(server, f"select answer from {table}") == 42


def test_stopping_leaves_no_process_and_no_folder() -> None:
    with PostgresServer.start(settings=["max_connections=20"]) as server:
        assert ask(server, "show max_connections") == "20"
        running = processes.tree(main_process(server))
        assert len(running) > 1
    assert not any(map(processes.is_alive, running))
    assert not server.folder.exists()


def test_a_server_that_cannot_start_says_why() -> None:
    with pytest.raises(ServerError, match="no_such_setting"):
        PostgresServer.start(settings=["no_such_setting=1"])


def test_versions_sort_as_numbers(tmp_path) -> None:
    assert version_of_path(tmp_path / "15/bin") > version_of_path(tmp_path / "9.6/bin")
