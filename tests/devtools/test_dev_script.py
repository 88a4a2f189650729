import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devtools.__main__ import COMMANDS
from devtools.project import ROOT

pytestmark = pytest.mark.timeout(180)
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


class Checkout:
    """A small copy of the project whose requirements are empty, so that building it needs no network."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "requirements").mkdir(parents=True)
        (root / "requirements" / "dev.txt").touch()
        for name in ("dev", "pyproject.toml"):
            shutil.copy(ROOT / name, root)
        shutil.copytree(ROOT / "devtools", root / "devtools", ignore=shutil.ignore_patterns("__pycache__"))
        (root / "bridge").mkdir()
        (root / "bridge" / "__init__.py").touch()

    def dev(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {
            "PATH": f"{self.root.parent / 'quick'}:{SYSTEM_PATH}",
            "HOME": os.environ["HOME"],
            "BRIDGE_PYTHON": sys.executable,
        }
        return subprocess.run(
            [self.root / "dev", *arguments],
            cwd="/",
            env=clean | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "complete"

    def python(self, code: str) -> str:
        argv = [str(self.root / ".venv" / "bin" / "python"), "-c", code]
        return subprocess.run(argv, cwd="/", capture_output=True, text=True, check=True).stdout.strip()


def fake_program(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Built once with venv and pip; from then on a stand-in for uv saves the seconds that pip's own set-up takes."""
    checkout = Checkout(tmp_path_factory.mktemp("work") / "a checkout's folder")
    built = checkout.dev("exec", "true")
    assert built.returncode == 0, built.stderr
    assert "creating .venv with venv and pip" in built.stderr
    make = f'rm -rf .venv && exec "{sys.executable}" -m venv --without-pip .venv'
    fake_program(checkout.root.parent / "quick", "uv", f"case $1 in venv) {make} ;; pip) exec true ;; esac")
    return checkout


@pytest.fixture
def checkout(pristine: Checkout) -> Checkout:
    """The built checkout, brought back to that state."""
    (pristine.root / "requirements" / "dev.txt").write_text("")
    again = pristine.dev("exec", "true")
    assert again.returncode == 0, again.stderr
    return pristine


def test_a_built_environment_can_import_the_project_and_knows_its_version(checkout: Checkout) -> None:
    assert checkout.python("import bridge; print(bridge.__file__)").startswith(str(checkout.root))
    assert checkout.python("import importlib.metadata as m; print(m.version('amqp-bridge'))") == "0.1.0"


def test_a_built_environment_has_the_projects_command(checkout: Checkout) -> None:
    command = checkout.root / ".venv" / "bin" / "amqp-bridge"
    (checkout.root / "bridge" / "cli").mkdir(exist_ok=True)
    program = "import sys\ndef main():\n    print(sys.argv)\n    return 3\n"
    (checkout.root / "bridge" / "cli" / "__init__.py").write_text(program)
    result = subprocess.run(
        [command, "run", "two words"], cwd="/", capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "['amqp-bridge', 'run', 'two words']"
    assert result.returncode == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "usage: ./dev COMMAND"),
        (("--help",), "usage: ./dev COMMAND"),
        *(((name, "--help"), f"./dev {name}") for name in COMMANDS),
        (("run", "-h"), "--check"),
    ],
)
def test_help_builds_nothing(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    checkout = Checkout(tmp_path / "fresh")
    for part in ("bench/options.py", "tests/fault/schedule/options.py"):
        (checkout.root / part).parent.mkdir(parents=True)
        shutil.copy(ROOT / part, checkout.root / part)
    answer = checkout.dev(*arguments)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert told in answer.stdout
    assert not checkout.stamp.parent.exists()


def test_a_warm_start_is_quick_and_says_nothing_of_the_environment(checkout: Checkout) -> None:
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        assert checkout.dev("exec", "true").stderr == ""
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 0.3


def test_an_interrupted_build_is_started_over(checkout: Checkout) -> None:
    checkout.stamp.unlink()
    remnant = checkout.root / ".venv" / "remnant"
    remnant.touch()
    assert "creating .venv" in checkout.dev("exec", "true").stderr
    assert not remnant.exists()


def test_an_environment_without_its_python_is_built_anew(checkout: Checkout) -> None:
    (checkout.root / ".venv" / "bin" / "python").unlink()
    assert "creating .venv" in checkout.dev("exec", "true").stderr


def test_other_requirements_update_the_environment_in_place(checkout: Checkout) -> None:
    kept = checkout.root / ".venv" / "kept"
    kept.touch()
    (checkout.root / "requirements" / "dev.txt").write_text("# nothing yet\n")
    assert "updating .venv" in checkout.dev("exec", "true").stderr
    assert kept.exists()


def test_a_moved_checkout_gets_a_new_environment(checkout: Checkout) -> None:
    elsewhere = checkout.root.with_name("elsewhere")
    shutil.copytree(checkout.root, elsewhere, symlinks=True)
    moved = Checkout.__new__(Checkout)
    moved.root = elsewhere
    assert "creating .venv" in moved.dev("exec", "true").stderr
    assert moved.python("import bridge; print(bridge.__file__)").startswith(str(elsewhere))


def test_a_link_to_the_environment_of_another_checkout_is_replaced_and_that_one_stays_whole(
    checkout: Checkout,
) -> None:
    linked = Checkout.__new__(Checkout)
    linked.root = checkout.root.with_name("linked")
    shutil.copytree(checkout.root, linked.root, ignore=shutil.ignore_patterns(".venv"))
    (linked.root / ".venv").symlink_to(checkout.root / ".venv")
    assert "creating .venv" in linked.dev("exec", "true").stderr
    assert not (linked.root / ".venv").is_symlink()
    assert checkout.dev("exec", "true").stderr == ""


def test_a_lock_whose_owner_is_dead_does_not_block(checkout: Checkout) -> None:
    checkout.stamp.unlink()
    lock = checkout.root / ".dev" / "environment.lock"
    lock.mkdir(parents=True)
    (lock / "pid").write_text("999999999\n")
    assert checkout.dev("exec", "true").returncode == 0
    assert not lock.exists()


def test_an_unknown_command_is_a_usage_error(checkout: Checkout) -> None:
    result = checkout.dev("tset")
    assert result.returncode == 2
    assert "--help" in result.stderr


def test_requirements_that_cannot_be_had_fail_and_leave_no_finished_environment(checkout: Checkout) -> None:
    requirement = f"no-such-thing==1.0 --hash=sha256:{'0' * 64}\n"
    (checkout.root / "requirements" / "dev.txt").write_text(requirement)
    result = checkout.dev("exec", "true", PATH=SYSTEM_PATH, PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null")
    assert result.returncode == 2
    assert not checkout.stamp.exists()


def test_a_missing_venv_module_is_installed_where_nobody_can_be_asked(
    checkout: Checkout, tmp_path: Path
) -> None:
    installed, log, fakes = tmp_path / "installed", tmp_path / "log", tmp_path / "fakes"
    needs_package = f'case "$*" in *"import ensurepip"*) [ -e "{installed}" ] || exit 1 ;; esac'
    python = fake_program(fakes, "fake-python", f'{needs_package}\nexec "{sys.executable}" "$@"')
    fake_program(fakes, "sudo", 'exec "$@"')
    # Fails until the package lists are there, as on a fresh machine.
    lists = f'case "$*" in *update*) touch "{tmp_path}/lists" ;; *) [ -e "{tmp_path}/lists" ] && touch "{installed}" ;; esac'
    fake_program(fakes, "apt-get", f'echo "$DEBIAN_FRONTEND $*" >>"{log}"\n{lists}')
    checkout.stamp.unlink()
    result = checkout.dev("exec", "true", PATH=f"{fakes}:{SYSTEM_PATH}", BRIDGE_PYTHON=str(python))
    assert result.returncode == 0, result.stderr
    first, update, second = log.read_text().splitlines()
    assert "update" in update
    assert first == second
    assert first.startswith("noninteractive install")
    assert first.endswith(f"python{sys.version_info[0]}.{sys.version_info[1]}-venv")


def test_a_missing_venv_module_that_cannot_be_installed_names_the_way_out(
    checkout: Checkout, tmp_path: Path
) -> None:
    fakes = tmp_path / "fakes"
    python = fake_program(
        fakes,
        "fake-python",
        f'case "$*" in *"import ensurepip"*) exit 1 ;; esac\nexec "{sys.executable}" "$@"',
    )
    for name in ("apt-get", "sudo"):
        fake_program(fakes, name, "exit 1")
    checkout.stamp.unlink()
    result = checkout.dev("exec", "true", PATH=f"{fakes}:{SYSTEM_PATH}", BRIDGE_PYTHON=str(python))
    assert result.returncode == 2
    assert "install python3-venv" in result.stderr
