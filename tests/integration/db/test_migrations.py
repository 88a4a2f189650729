"""Whatever version a database is of, starting brings it to this one, or says why not."""

import asyncio
import logging
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from bridge.core.errors import SettingsError
from bridge.core.records import DeliveryFilter
from bridge.db.engine import HEAD
from bridge.db.migrations import alembic_config
from bridge.db.tables import metadata
from bridge.history.history import open_history
from tests.support.records import delivered, look, new_id

MADE_BY = Path(__file__).parents[2] / "data" / "history"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    given: str = request.getfixturevalue("postgres_url")
    return given


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


# SQLAlchemy cannot read SQLite's indexes on expressions (2.1); that this one is used is tested with the lists.
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings(
    "ignore:autogenerate skipping .*expression-based index 'events_(publisher|webhook)'"
)
async def test_the_revisions_make_the_tables_that_the_code_uses(url: str):
    history = await open_history(url)

    assert await history.engine.read(_differences) == []
    await history.close()


async def test_a_new_file_is_as_the_revisions_make_it(tmp_path: Path):
    fresh, by_revisions = (f"sqlite:///{tmp_path}/{name}.db" for name in ("fresh", "revisions"))
    await (await open_history(fresh)).close()
    engine = create_engine(by_revisions)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")
    engine.dispose()

    made = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY name"
    assert await look(fresh, made) == await look(by_revisions, made)
    texts = "SELECT name, sql FROM sqlite_master WHERE name <> 'alembic_version' ORDER BY name"
    assert await look(fresh, texts) == await look(by_revisions, texts)


async def test_publishers_ids_are_found_through_their_index(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/bridge.db"
    await (await open_history(url)).close()

    plan = await look(
        url,
        "EXPLAIN QUERY PLAN SELECT id, publisher_id FROM events WHERE length(publisher_id) <= 200 "
        "AND substr(publisher_id, length(publisher_id)) = '1' ORDER BY id DESC",
    )

    assert "USING COVERING INDEX events_publisher" in str(plan)


REVISIONS = tuple(f"{number:04}" for number in range(1, 9))


def _made_by(dialect: str, revision: str) -> list[list[str]]:
    """What the old revisions up to this one did, each its statements."""
    text = (MADE_BY / f"{dialect}.sql").read_text()
    found = re.split(r"^-- \d{4}\n", text, flags=re.MULTILINE)[1:]
    steps = [[one for one in re.split(r";\n", step) if one.strip()] for step in found]
    assert len(steps) == len(REVISIONS)
    return steps[: REVISIONS.index(revision) + 1]


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings(
    "ignore:autogenerate skipping .*expression-based index 'events_(publisher|webhook)'"
)
@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_history_that_any_old_revision_made_goes_on_with_what_it_holds(url: str, revision: str):
    first, *others = _made_by(url.partition(":")[0], revision)
    one, other = new_id(), new_id()
    events = "id, source, type, format, webhook_id, received_at, exchange, routing_key, body"
    deliveries = "id, event_id, hook, target, status, reason, generation, attempts, created_at, updated_at"
    first += [
        f"INSERT INTO events ({events}) VALUES ('{one}', 's', 'a.b', 'json', 'w', 1, '', '', 'x')",
        f"INSERT INTO deliveries ({deliveries}) VALUES ('{other}', '{one}', 'h', 'webhook', 'SUCCESS', '', 1, 1, 1, 1)",
    ]
    for statement in chain(first, *others):
        await look(url, statement)

    history = await open_history(url)
    page = await history.deliveries(DeliveryFilter(hook="h", event_type="a.b"), limit=9)
    differences = await history.engine.read(_differences)
    refused = await history.commit([delivered()])
    await history.close()

    assert ([item.id for item in page.items], differences, refused) == ([other], [], [])
    assert await look(url, "SELECT event_type FROM deliveries WHERE hook = 'h'") == [("a.b",)]
    assert await look(url, "SELECT version_num FROM alembic_version") == [(HEAD,)]


@pytest.mark.parametrize("revision", REVISIONS)
async def test_an_old_file_gets_the_indexes_of_a_new_one(tmp_path: Path, revision: str):
    old, new = (f"sqlite:///{tmp_path}/{name}.db" for name in ("old", "new"))
    for step in _made_by("sqlite", revision):
        for statement in step:
            await look(old, statement)
    for url in (old, new):
        await (await open_history(url)).close()

    indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
    assert await look(old, indexes) == await look(new, indexes)


async def test_the_newest_revision_is_the_one_that_is_looked_for(url: str):
    history = await open_history(url)
    heads = await history.engine.read(
        lambda connection: ScriptDirectory.from_config(alembic_config(connection)).get_heads()
    )
    await history.close()

    assert heads == [HEAD]
    assert await look(url, "SELECT version_num FROM alembic_version") == [(HEAD,)]


async def test_processes_that_start_together_make_the_tables_once(url: str):
    histories = await asyncio.gather(*(open_history(url) for _ in range(4)))

    for history in histories:
        assert await history.counts_by_status() == {}
        await history.close()


async def test_a_database_of_a_newer_version_is_left_alone(url: str):
    await (await open_history(url)).close()
    await look(url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(SettingsError, match=r"storage\.url: .*newer version of amqp-bridge .*9999"):
        await open_history(url)


@pytest.mark.parametrize(
    "made_by",
    [
        "CREATE TABLE events (id INTEGER, what TEXT)",
        "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('1a2b3c4d5e6f')",
        "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0003')",
    ],
)
async def test_a_database_of_another_program_is_told_as_such_and_left_alone(url: str, made_by: str):
    for statement in made_by.split("; "):
        await look(url, statement)

    with pytest.raises(
        SettingsError, match=r"storage\.url: this database is another program's: .* tables (al|ev)"
    ):
        await open_history(url)
    assert await look(url, "SELECT * FROM " + made_by.split()[2]) == (
        [] if "events" in made_by else [(made_by.split("'")[1],)]
    )


async def test_a_database_without_tables_of_ours_may_be_shared_but_no_file(url: str):
    await look(url, "CREATE TABLE customers (id INTEGER)")
    if url.startswith("sqlite"):
        with pytest.raises(SettingsError, match="tables customers"):
            await open_history(url)
    else:
        await (await open_history(url)).close()


async def test_it_says_nothing(url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    with caplog.at_level(logging.DEBUG):
        await (await open_history(url)).close()

    assert not [record for record in caplog.records if record.name.startswith("alembic")]
    assert capfd.readouterr() == ("", "")


async def test_a_database_that_is_up_to_date_needs_no_alembic(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/bridge.db"
    await (await open_history(url)).close()
    program = (
        "import asyncio, sys\n"
        "from bridge.history.history import open_history\n"
        f"asyncio.run(open_history({url!r}))\n"
        "print('alembic' in sys.modules)"
    )

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout == "False\n"
