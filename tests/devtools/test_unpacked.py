import os
import stat
from pathlib import Path

import pytest

from devtools.choice import unpacked
from devtools.choice.unpacked import CannotUnpack, Program

PROGRAM = Program("tool", "a-package", "usr/bin/tool")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return unpacked.cache()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that stands first on PATH, and a keyring that is there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(unpacked, "KEYRING", tmp_path)
    return folder


def script(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def apt(folder: Path, *, download: str) -> None:
    """An apt with one source of Debian, for which `download` is done in place of downloading."""
    sources = 'echo "Debian Debian-Security file:/security"; echo "Debian Debian file:/mirror"'
    script(
        folder,
        "apt-get",
        f'case "$*" in *indextargets*) {sources};; *download*) {download};; esac',
    )


def test_a_system_without_apt_is_told_why_programs_are_missing(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    unpacked.obtain([PROGRAM])
    assert "tool cannot be had: this system has no apt; the tests that need them" in capsys.readouterr().err


def test_the_mirror_is_that_of_the_machines_own_main_archive(programs: Path) -> None:
    apt(programs, download="true")
    assert unpacked.mirror_of_this_machine() == "file:/mirror"


def test_a_machine_with_sources_of_another_system_has_no_mirror(programs: Path) -> None:
    script(programs, "apt-get", 'echo "Ubuntu Ubuntu file:/mirror"')
    with pytest.raises(CannotUnpack, match="no sources of Debian"):
        unpacked.mirror_of_this_machine()


def test_programs_are_unpacked_once_and_found_then(programs: Path, cache: Path, capsys) -> None:
    apt(programs, download="touch a-package.deb")
    script(programs, "dpkg-deb", 'mkdir -p "$3/usr/bin"; cp /bin/sh "$3/usr/bin/tool"')
    unpacked.obtain([PROGRAM])
    assert PROGRAM.found() == str(cache / unpacked.SUITES[0] / "root" / "usr/bin/tool")
    assert sorted(path.name for path in (cache / unpacked.SUITES[0]).iterdir()) == ["root"]
    capsys.readouterr()
    script(programs, "apt-get", "exit 1")
    unpacked.obtain([PROGRAM])
    assert capsys.readouterr().err == ""


def test_what_is_not_in_the_newest_suite_comes_from_the_next(programs: Path, cache: Path) -> None:
    newest, next_one = unpacked.SUITES
    apt(programs, download=f'case "$PWD" in */{newest}/*) exit 1;; esac; touch a-package.deb')
    script(programs, "dpkg-deb", 'mkdir -p "$3/usr/bin"; cp /bin/sh "$3/usr/bin/tool"')
    unpacked.obtain([PROGRAM])
    assert PROGRAM.found() == str(cache / next_one / "root" / "usr/bin/tool")


def test_a_download_that_fails_leaves_nothing_and_says_what_apt_said(
    programs: Path, cache: Path, capsys
) -> None:
    apt(programs, download="echo 'E: no network' >&2; exit 100")
    unpacked.obtain([PROGRAM])
    assert "forky: apt-get: E: no network; trixie: apt-get: E: no network" in capsys.readouterr().err
    assert PROGRAM.found() is None
    assert [path for path in cache.rglob("*") if path.is_file()] == []
