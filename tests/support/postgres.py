"""PostgreSQL for tests. A test that harms its server starts one of its own with PostgresServer.start()."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from devtools.choice.database import URL_VARIABLE, open_database


@pytest.fixture(scope="session")
def postgres_admin_url() -> Iterator[str]:
    """A user who may create databases, on the server of `./dev test` or one chosen in the same way."""
    with open_database() as url:
        if url is None:
            pytest.skip(f"no PostgreSQL: install one, or set {URL_VARIABLE}")
        yield url


@pytest.fixture
def postgres_url(postgres_admin_url: str) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    asyncio.run(execute(postgres_admin_url, f"create database {name}"))
    yield urlsplit(postgres_admin_url)._replace(path=f"/{name}").geturl()
    asyncio.run(execute(postgres_admin_url, f"drop database {name} with (force)"))


@pytest.fixture(scope="session")
def lasting_postgres_url(postgres_admin_url: str) -> Iterator[str]:
    """One database for many tests, one after the other."""
    name = f"test_{secrets.token_hex(6)}"
    asyncio.run(execute(postgres_admin_url, f"create database {name}"))
    yield urlsplit(postgres_admin_url)._replace(path=f"/{name}").geturl()
    asyncio.run(execute(postgres_admin_url, f"drop database {name} with (force)"))


_EMPTY_ALL_TABLES = """
    do $$ declare one regclass; begin
        set local session_replication_role = replica;
        for one in select oid from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace
            and relname <> 'alembic_version'
        loop
            if pg_relation_size(one) > 1000000 then execute 'truncate ' || one || ' cascade';
            else execute 'delete from ' || one; end if;
        end loop;
    end $$
"""


@pytest.fixture
def emptied_postgres_url(lasting_postgres_url: str) -> Iterator[str]:
    """A database whose tables, if it has any yet, are empty: had in a tenth of the time that a new one takes."""
    yield lasting_postgres_url
    asyncio.run(execute(lasting_postgres_url, _EMPTY_ALL_TABLES))


@asynccontextmanager
async def new_database(admin_url: str) -> AsyncIterator[str]:
    """The URL of an empty database, dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    await execute(admin_url, f"create database {name}")
    try:
        yield urlsplit(admin_url)._replace(path=f"/{name}").geturl()
    finally:
        await execute(admin_url, f"drop database {name} with (force)")


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
