import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from devtools.nodes import processes, scratch
from devtools.nodes.scratch import Scratch, reap_stale


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@contextmanager
def sleeper(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "300"], env=os.environ | environment, start_new_session=True) as process:
        try:
            # Popen returns while the kernel still puts the new program together: its environment is empty then
            deadline = time.monotonic() + 5
            while not psutil.Process(process.pid).environ():
                assert time.monotonic() < deadline, "the program has no environment"
            yield process
        finally:
            process.kill()


def abandoned(tmp_path: Path) -> Scratch:
    folder = tmp_path / f"{scratch.PREFIX}test-0123456789"
    (folder / "processes").mkdir(parents=True)
    (folder / "owner").write_text("999999999 1.00")
    return Scratch(folder)


def test_a_dead_owners_folder_goes_with_the_processes_it_names(tmp_path: Path) -> None:
    left_over = abandoned(tmp_path)
    with sleeper(HOME=str(left_over.path)) as process:
        left_over.record("server", process.pid, signal.SIGTERM)
        assert reap_stale() == [left_over.path]
        assert process.wait(5) == -signal.SIGTERM
    assert not left_over.path.exists()


def test_a_stranger_who_got_a_recorded_id_is_left_alone(tmp_path: Path) -> None:
    left_over = abandoned(tmp_path)
    with sleeper() as stranger:
        left_over.record("server", stranger.pid, signal.SIGKILL)
        reap_stale()
        assert stranger.poll() is None
    assert not left_over.path.exists()


def test_a_living_owners_folder_stays() -> None:
    mine = Scratch.create("test")
    assert reap_stale() == []
    assert mine.path.exists()
    mine.remove()
    assert not mine.path.exists()


def test_a_reused_owner_id_does_not_keep_a_folder_alive(tmp_path: Path) -> None:
    left_over = abandoned(tmp_path)
    (left_over.path / "owner").write_text(f"{os.getpid()} 1.00")
    assert reap_stale() == [left_over.path]


def test_a_folder_that_is_just_being_made_stays_until_it_is_old(tmp_path: Path) -> None:
    newborn = tmp_path / f"{scratch.PREFIX}test-newborn"
    newborn.mkdir()
    assert reap_stale() == []
    before = time.time() - 2 * scratch.NEWBORN_SECONDS
    os.utime(newborn, (before, before))
    assert reap_stale() == [newborn]


def test_the_keeper_ends_with_the_folder() -> None:
    before = set(psutil.Process().children())
    folder = Scratch.create("test")
    keepers = set(psutil.Process().children()) - before
    folder.remove()
    assert keepers
    assert processes.await_end(list(keepers), 5)


def test_a_process_that_ignores_the_polite_signal_is_killed() -> None:
    argv = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        processes.end_tree(process.pid, signal.SIGTERM, 0.3)
        assert process.wait(5) is not None
