"""A release: what is in it, that it can be made again, and that it works where it is installed."""

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge import __version__
from devtools.project import ROOT, SetupError
from devtools.release import audit
from devtools.release.command import forbidden, main, release, told
from devtools.release.origin import Origin, open_origin
from devtools.release.pins import Pin, is_allowed, licence_of, read_pins

PINS = ROOT / "requirements" / "runtime.txt"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """The folder of a release of these sources, and what was in its way."""
    folder = tmp_path_factory.mktemp("dist")
    (folder / "amqp_bridge-0.0.1.tar.gz").touch()
    (folder / "of somebody else").touch()
    with pytest.MonkeyPatch.context() as patched:
        if not (ROOT / ".git").exists():
            patched.setenv("SOURCE_DATE_EPOCH", "1700000000")
        with open_origin() as origin:
            yield folder, release(origin, folder)


def test_two_builds_of_the_same_sources_are_the_same_and_nothing_is_in_the_way(
    made: tuple[Path, list[str]],
) -> None:
    folder, complaints = made
    assert complaints == []
    name = f"amqp_bridge-{__version__}"
    documents = {f"amqp-bridge-{__version__}.cdx.json", f"amqp-bridge-{__version__}.licences.txt"}
    packages = {f"{name}-py3-none-any.whl", f"{name}.tar.gz"}
    assert {path.name for path in folder.iterdir()} == {
        *documents,
        *packages,
        "SHA256SUMS",
        "of somebody else",
    }
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert {file for _, file in lines} == documents | packages
    for digest, file in lines:
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest


def test_the_packages_hold_the_sources_and_nothing_of_the_machine(made: tuple[Path, list[str]]) -> None:
    wheel, sdist = next(made[0].glob("*.whl")), next(made[0].glob("*.tar.gz"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        text = b"".join(map(archive.read, names))
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"bridge", "amqp_bridge"}
    assert os.fsencode(ROOT) not in text
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert len({member.mtime for member in members}) == 1
    assert any(member.name.endswith("/LICENSE") for member in members)
    assert not any("__pycache__" in member.name or "/.venv" in member.name for member in members)


def test_the_bill_of_materials_names_every_pinned_requirement(made: tuple[Path, list[str]]) -> None:
    bill = json.loads(next(made[0].glob("*.cdx.json")).read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["version"] == __version__
    listed = {part["name"]: part for part in bill["components"]}
    lines = [line for line in PINS.read_text().splitlines() if "==" in line]
    assert listed.pop("htmx.org")["version"] == "4.0.1"  # of npm, in the repository
    assert len(listed) == len(lines) > 30
    for line in lines:
        name, _, rest = line.partition("==")
        assert listed[name]["version"] == rest.split()[0]
        assert listed[name]["hashes"]
        assert listed[name]["licenses"]
    every = {digest["content"] for part in listed.values() for digest in part["hashes"]}
    assert every == {part.split()[0] for part in PINS.read_text().split("--hash=sha256:")[1:]}
    licences = next(made[0].glob("*.licences.txt")).read_text()
    assert all(f"{pin.name} {pin.version}" in licences for pin in read_pins(PINS))


def test_the_wheel_runs_where_it_is_installed_without_any_network(
    made: tuple[Path, list[str]], tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    install = ["--python", str(python), "install", "--quiet", "--no-index", "--no-deps"]
    wheel = next(made[0].glob("*.whl"))
    subprocess.run([sys.executable, "-m", "pip", *install, str(wheel)], check=True, capture_output=True)
    # What it depends on is here already; a folder on PYTHONPATH does not lead to the checkout as one of .pth files does.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": sysconfig.get_path("purelib")}
    program = [tmp_path / "env" / "bin" / "amqp-bridge"]

    def printed(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
        return done.stdout.decode()

    assert printed(*program, "--version").startswith(f"amqp-bridge {__version__} ")
    assert "Traceback" not in printed(*program, "run", "--help")
    where = printed(python, "-c", "import bridge.app.run; print(bridge.__file__)")
    assert where.startswith(str(tmp_path))


def test_a_licence_that_is_unknown_or_forbidden_is_in_the_way() -> None:
    fine = Pin("fine", "1", "", (), "MIT")
    assert forbidden(
        [fine, replace(fine, name="odd", licence=""), replace(fine, licence="AGPL-3.0-only")]
    ) == [
        "odd 1: its licence, unknown, is not among the allowed ones",
        "fine 1: its licence, AGPL-3.0-only, is not among the allowed ones",
    ]
    assert licence_of("no-such-package-anywhere") == ""


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-2.0-only", False),
        ("GPL-2.0-only OR MIT", True),
        ("GPL-2.0-only AND MIT", False),
        ("MPL-2.0 AND (Apache-2.0 OR GPL-3.0-only)", True),
        ("Apache-2.0 WITH LLVM-exception", False),
    ],
)
def test_a_licence_is_allowed_where_one_way_to_satisfy_it_is(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


def test_what_an_audit_found_is_told_with_the_version_that_mends_it() -> None:
    known = {"id": "CVE-1", "fix_versions": ["1.1"]}
    package = {"name": "a", "version": "1.0", "vulns": [known, {"id": "CVE-2", "fix_versions": []}]}
    verdict = audit.read(json.dumps({"dependencies": [package]}), "Found 2 known vulnerabilities")
    assert verdict == audit.Verdict(
        reached=True,
        found=("a 1.0: CVE-1, mended in 1.1", "a 1.0: CVE-2, mended in no version yet"),
    )


def test_an_audit_that_reaches_nobody_is_no_failure_and_names_no_host(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "one.txt").write_text(f"a==1 --hash=sha256:{'0' * 64}\n")
    verdict = audit.audit(tmp_path / "one.txt")
    assert not verdict.reached
    assert "." not in verdict.why.rpartition("exceptions.")[2]
    assert told(verdict) == []
    assert "NOT DONE: data about vulnerabilities is not reachable" in capsys.readouterr().err


def test_an_unpacked_archive_has_to_be_told_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with pytest.raises(SetupError, match="SOURCE_DATE_EPOCH=seconds since 1970"), open_origin(tmp_path):
        pass
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with open_origin(tmp_path) as origin:
        assert origin == Origin(tmp_path, "", 1_700_000_000)


def test_the_help_says_what_a_release_consists_of(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(
        word in shown
        for word in ("*.whl", "*.cdx.json", "SHA256SUMS", "--no-audit", "not be reached")
        if word
    )
