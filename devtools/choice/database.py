"""Which PostgreSQL the tests use: the given one, else a private server, else an installed one, else none."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from devtools.choice import packages
from devtools.nodes.postgres_install import find_postgres, postgres_version
from devtools.postgres import PostgresServer, ServerError
from devtools.project import SetupError, say

URL_VARIABLE = "BRIDGE_TEST_POSTGRES_URL"


@contextmanager
def open_database(environment: Mapping[str, str] = os.environ) -> Iterator[str | None]:
    """The URL of a user who may create databases, or None: the bridge itself needs no PostgreSQL."""
    if url := environment.get(URL_VARIABLE):
        yield given(url)
    elif programs := find_or_install():
        with private_server(programs) as url:
            yield url
    else:
        say("database", "no PostgreSQL found or installed: its tests are skipped")
        yield None


def find_or_install() -> Path | None:
    """The server's programs, installed if they were missing and may be."""
    return find_postgres() or (
        find_postgres() if packages.install(apt="postgresql", brew="postgresql") else None
    )


def given(url: str) -> str:
    """The URL, once the server behind it has let us in."""
    try:
        version = asyncio.run(server_version(url))
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise SetupError(f"the database that {URL_VARIABLE} names does not let us in: {error}") from error
    say("database", f"PostgreSQL {version} at {urlsplit(url).hostname}, as {URL_VARIABLE} says")
    return url


async def server_version(url: str) -> str:
    """What the server says of itself after it let us in."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return str(await connection.fetchval("show server_version"))
    finally:
        await connection.close()


@contextmanager
def private_server(programs: Path) -> Iterator[str]:
    """A server of our own from the installed programs."""
    try:
        server = PostgresServer.start(programs=programs)
    except ServerError as error:
        raise SetupError(f"the private PostgreSQL did not start: {error}") from error
    with server:
        say(
            "database", f"private PostgreSQL {postgres_version(programs)} from {programs}, port {server.port}"
        )
        yield server.url
