import json
from pathlib import Path

import pytest

from devtools.choice import companions, packages, unpacked
from devtools.choice.companions import Need


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the package managers were asked for, (apt, brew); they install nothing."""
    asked: list[tuple[str, str]] = []

    def install(apt: str, brew: str) -> bool:
        asked.append((apt, brew))
        return False

    monkeypatch.setattr(packages, "install", install)
    monkeypatch.setattr(unpacked, "MONITORING", ())
    return asked


@pytest.fixture
def node_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the library for Node would be, empty."""
    monkeypatch.setattr(companions, "ROOT", tmp_path)
    monkeypatch.setattr(companions, "NODE_FOLDER", tmp_path / "node")
    monkeypatch.setattr(companions, "NODE_MODULES", tmp_path / "node" / "node_modules")
    return tmp_path / "node"


def need(name: str, *, there: bool, apt: str = "", brew: str = "") -> Need:
    return Need(name, lambda: there, apt, brew)


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    folder.mkdir()
    (folder / "npm").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_all_that_is_missing_is_asked_for_at_once_and_told_if_it_stays_missing(
    installs, node_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    needs = (
        need("PHP", there=False, apt="php-cli", brew="php"),
        need("its library", there=False, apt="php-amqplib"),
        need("Node", there=True, apt="nodejs", brew="node"),
        need("npm", there=False, apt="npm", brew="node"),
    )
    monkeypatch.setattr(companions, "NEEDS", needs)
    monkeypatch.setattr(companions, "has_node_library", lambda: True)
    companions.obtain()
    assert installs == [("php-cli php-amqplib npm", "php node")]
    said = capsys.readouterr().err
    assert "not here and not installed: PHP, its library, npm; the tests that need them are skipped" in said


def test_a_machine_that_has_all_is_left_in_peace(installs, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(companions, "NEEDS", (need("PHP", there=True),))
    monkeypatch.setattr(companions, "has_node_library", lambda: True)
    companions.obtain()
    assert installs == []
    assert capsys.readouterr().err == ""


def test_the_library_for_node_is_installed_again_when_another_version_is_wanted(
    node_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not companions.has_node_library()
    wanted = json.loads(companions.NODE_PACKAGE.read_text())["dependencies"]["amqplib"]
    fake_npm(
        tmp_path / "bin",
        monkeypatch,
        f'test -f package.json; mkdir -p node_modules/amqplib\necho \'{{"version": "{wanted}"}}\' >node_modules/amqplib/package.json',
    )
    companions.install_node_library()
    assert companions.has_node_library()
    (node_folder / "node_modules" / "amqplib" / "package.json").write_text('{"version": "0.1.0"}')
    assert not companions.has_node_library()


def test_without_a_network_the_tests_go_on(
    node_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    fake_npm(tmp_path / "bin", monkeypatch, "echo no network >&2; exit 1")
    companions.install_node_library()
    assert "could not be installed, its tests are skipped: no network" in capsys.readouterr().err


def test_the_library_has_no_lock_file_and_one_exact_version() -> None:
    package = json.loads(companions.NODE_PACKAGE.read_text())
    assert all(version[0].isdigit() for version in package["dependencies"].values())
    assert not (companions.NODE_PACKAGE.parent / "package-lock.json").exists()
