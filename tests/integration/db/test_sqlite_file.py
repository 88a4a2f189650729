"""The SQLite file: who may read it, what happens while it is locked or full, and that it shrinks again."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from bridge.core.errors import AlreadyRunning, HistoryUnavailable, SettingsError
from bridge.core.survey import Owner
from bridge.db.engine import SqlOwnership
from bridge.db.migrations import migrate
from bridge.db.sqlite import SqliteEngine
from bridge.history.history import SqlHistory, open_history
from tests.support.records import a_delivery, an_event, days_ago, delivered, look

_LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""
_WRITER = """
import asyncio, sys
from bridge.history.history import open_history
from tests.support.records import delivered

async def main():
    history = await open_history(sys.argv[1])
    await history.commit([delivered() for _ in range(100)])
    print("committed", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bridge.db"


@pytest.fixture
async def history(file: Path) -> AsyncIterator[SqlHistory]:
    opened = await open_history(f"sqlite:///{file}", timeout=0.3)
    yield opened
    await opened.close()


@contextmanager
def another_process(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """A Python program that has said its first line."""
    with subprocess.Popen(
        [sys.executable, "-c", *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


async def test_only_the_owner_may_read_the_file_and_its_logs(file: Path, history: SqlHistory):
    await history.commit([delivered()])

    rights = {one.name: one.stat().st_mode & 0o777 for one in file.parent.iterdir()}
    assert rights == {"bridge.db": 0o600, "bridge.db-wal": 0o600, "bridge.db-shm": 0o600}


async def test_closing_leaves_one_file(file: Path):
    history = await open_history(f"sqlite:///{file}")
    await history.commit([delivered()])
    await history.close()

    assert [one.name for one in file.parent.iterdir()] == ["bridge.db"]


def test_the_rights_of_a_file_that_is_there_stay(file: Path):
    file.touch()
    file.chmod(0o640)

    asyncio.run(_open_and_close(file))

    assert file.stat().st_mode & 0o777 == 0o640


async def _open_and_close(file: Path) -> None:
    await (await open_history(f"sqlite:///{file}")).close()


async def test_a_relative_address_is_a_file_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    history = await open_history("sqlite:///bridge.db")
    await history.close()

    assert (tmp_path / "bridge.db").exists()


async def test_a_missing_directory_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"storage\.url: the directory .*nowhere does not exist"):
        await open_history(f"sqlite:///{tmp_path}/nowhere/bridge.db")


async def test_a_directory_is_no_history(tmp_path: Path):
    with pytest.raises(SettingsError, match="is not a file"):
        await open_history(f"sqlite:///{tmp_path}")


def test_a_file_of_another_kind_is_left_alone(file: Path):
    file.write_text("Dear diary, " * 100)

    with pytest.raises(SettingsError, match=r"storage\.url: .* not a database; restore it"):
        asyncio.run(_open_and_close(file))
    assert file.read_text().startswith("Dear diary")


def test_half_a_file_is_told_to_be_damaged_and_left_alone(file: Path):
    asyncio.run(_open_and_close(file))
    half = file.read_bytes()[:5000]
    file.write_bytes(half)

    with pytest.raises(SettingsError, match=r"storage\.url: .* malformed; restore it"):
        asyncio.run(_open_and_close(file))
    assert file.read_bytes() == half


def test_an_empty_file_becomes_a_history(file: Path):
    file.touch()
    asyncio.run(_open_and_close(file))
    assert file.stat().st_size > 0


async def test_one_process_has_the_file_and_another_is_told_whose_it_is(file: Path):
    history = await open_history(f"sqlite:///{file}", alone=True)
    await SqlOwnership(history.engine).claim(Owner("a", "rabbit@one", "/"))
    with pytest.raises(AlreadyRunning, match="of `a on rabbit@one, vhost /` is in use"):
        await open_history(f"sqlite:///{file}", alone=True)
    assert await history.commit([delivered()]) == []
    await history.close()

    await (await open_history(f"sqlite:///{file}", alone=True)).close()


async def test_the_end_of_a_process_however_it_comes_gives_its_file_free(file: Path):
    holder = _WRITER.replace("open_history(sys.argv[1])", "open_history(sys.argv[1], alone=True)")
    with another_process(holder, f"sqlite:///{file}") as process:
        with pytest.raises(AlreadyRunning):
            await open_history(f"sqlite:///{file}", alone=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    history = await open_history(f"sqlite:///{file}", alone=True)
    assert await history.counts_by_status() == {"SUCCESS": 100}
    await history.close()


@pytest.mark.parametrize("change", ["deleted", "replaced"])
async def test_nothing_is_committed_into_a_file_that_went_and_all_is_once_it_is_back(
    file: Path, history: SqlHistory, change: str
):
    await history.commit([delivered()])
    aside = file.with_name("aside.db")
    shutil.move(file, aside)
    if change == "replaced":
        shutil.copy(aside, file)
    record = delivered()
    with pytest.raises(HistoryUnavailable, match=f"was {change}"):
        await history.commit([record])

    shutil.move(aside, file)
    assert await history.commit([record]) == []
    assert await history.counts_by_status() == {"SUCCESS": 2}


async def test_a_commit_is_on_the_disk_when_it_returns(history: SqlHistory):
    def look_at(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "auto_vacuum")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await history.engine.write(look_at) == ["wal", 2, 2]


async def test_a_killed_process_leaves_what_it_committed(file: Path):
    with another_process(_WRITER, f"sqlite:///{file}") as process:
        os.kill(process.pid, signal.SIGKILL)

    history = await open_history(f"sqlite:///{file}")
    assert await history.counts_by_status() == {"SUCCESS": 100}
    await history.close()


async def test_a_file_that_another_process_has_locked_is_unavailable_until_it_is_free(
    file: Path, history: SqlHistory
):
    record = delivered()
    with another_process(_LOCKER, str(file)):
        with pytest.raises(HistoryUnavailable, match="locked"):
            await history.commit([record])
        await history.ping()  # reading goes on
        assert await history.counts_by_status() == {}

    assert await history.commit([record]) == []
    assert await history.counts_by_status() == {"SUCCESS": 1}


async def test_a_commit_waits_a_moment_for_a_locked_file(file: Path):
    history = await open_history(f"sqlite:///{file}", timeout=20)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        commit = asyncio.create_task(history.commit([delivered()]))
        done, _ = await asyncio.wait([commit], timeout=0.2)
        assert not done
        other.execute("ROLLBACK")
        assert await commit == []
    await history.close()


async def test_readers_do_not_hold_up_commits(file: Path, history: SqlHistory):
    await history.commit([delivered()])
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM deliveries").fetchone() == (1,)

        await history.commit([delivered()])

        assert reader.execute("SELECT count(*) FROM deliveries").fetchone() == (1,)
    assert await history.counts_by_status() == {"SUCCESS": 2}


async def test_a_full_disk_is_an_outage_with_nothing_written(file: Path):
    engine = SqliteEngine(file, timeout=1)
    await engine.write(migrate)
    history = SqlHistory(engine)
    await _limit_pages(engine, 30)
    await history.commit([delivered()])

    records = [delivered(a_delivery(an_event(body=os.urandom(1000)))) for _ in range(500)]
    with pytest.raises(HistoryUnavailable, match="full"):
        await history.commit(records)
    assert await history.counts_by_status() == {"SUCCESS": 1}

    await _limit_pages(engine, 1_000_000)
    assert await history.commit(records) == []
    assert await history.counts_by_status() == {"SUCCESS": 501}
    await history.close()


async def _limit_pages(engine: SqliteEngine, pages: int) -> None:
    await engine.write(
        lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar()
    )


async def test_the_file_shrinks_when_what_it_held_is_pruned(file: Path, history: SqlHistory):
    for _ in range(10):
        old = [an_event(days_ago(9), body=os.urandom(50_000)) for _ in range(100)]
        await history.commit([delivered(a_delivery(event)) for event in old])
    young = delivered(a_delivery(an_event(time.time())))
    await history.commit([young])
    pages = await _pages(file)
    assert pages > 12_000

    while await history.prune(days_ago(7), 500):
        pass

    assert await _pages(file) < 1_200
    assert (await history.known([young.delivery.id])).keys() == {young.delivery.id}


async def _pages(file: Path) -> int:
    ((pages,),) = await look(f"sqlite:///{file}", "PRAGMA page_count")
    return int(pages)


async def test_a_cancelled_commit_does_no_harm(history: SqlHistory):
    records = [delivered() for _ in range(500)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await history.commit(records)

    assert await history.commit([delivered()]) == []
    await history.ping()
