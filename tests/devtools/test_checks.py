import sys
from pathlib import Path

import pytest

from devtools import __main__ as commands
from devtools.checks.pytest_order import LongestFirst
from devtools.checks.session import only_in, service_variables
from devtools.checks.sizes import FUNCTION_LINES, MODULE_LINES, oversized
from devtools.checks.static import static_steps
from devtools.checks.steps import Step, run_steps
from devtools.choice.broker import Broker
from devtools.generate import Generated, stale, write
from devtools.project import ROOT, without_settings
from devtools.upkeep.clean import leftovers

EXAMPLE = Generated("docs/example.txt", "nowhere:nothing")


def write_module(root: Path, text: str) -> None:
    (root / "bridge").mkdir()
    (root / "bridge" / "module.py").write_text(text)


def function_of(lines: int) -> str:
    return "def f():\n" + "    pass\n" * (lines - 1)


def test_sizes_at_the_limits_pass(tmp_path: Path) -> None:
    filler = "x = 1\n" * (MODULE_LINES - FUNCTION_LINES)
    write_module(tmp_path, function_of(FUNCTION_LINES) + filler)
    assert list(oversized(tmp_path)) == []


def test_a_function_and_a_module_beyond_the_limits_are_both_named(tmp_path: Path) -> None:
    write_module(tmp_path, function_of(FUNCTION_LINES + 1) + "x = 1\n" * MODULE_LINES)
    module, function = oversized(tmp_path)
    assert "bridge/module.py:1: the module has 441 lines" in module
    assert "f() has 41 lines, the limit is 40" in function


def test_a_failed_step_shows_its_output_and_does_not_stop_the_next(capfd) -> None:
    failing = Step("broken", (sys.executable, "-c", "print('what is wrong'); raise SystemExit(1)"))
    passing = Step("fine", (sys.executable, "-c", "print('not shown')"))
    results = run_steps([failing, passing])
    shown = capfd.readouterr().err
    assert [result.passed for result in results] == [False, True]
    assert "what is wrong" in shown
    assert "not shown" not in shown


def test_every_static_check_names_a_program_that_the_environment_has() -> None:
    assert all(Path(step.argv[0]).exists() for step in static_steps())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tests/unit"], True),
        (["tests/unit", "-k", "x"], True),
        (["-k", "x"], False),
        (["tests/unit", "tests/devtools"], False),
        (["tests/devtools/test_checks.py::test_x"], False),
        ([], False),
    ],
)
def test_services_are_left_out_for_unit_tests_alone(arguments: list[str], expected) -> None:
    assert only_in("unit", arguments) is expected


def test_tests_are_led_to_the_services_by_variables() -> None:
    private = service_variables(Broker("amqp://a/", Path("/folder")), "postgresql://b")
    assert private == {
        "BRIDGE_TEST_AMQP_URL": "amqp://a/",
        "BRIDGE_TEST_BROKER_FOLDER": "/folder",
        "BRIDGE_TEST_POSTGRES_URL": "postgresql://b",
    }
    assert service_variables(Broker("amqp://a/"), None) == {"BRIDGE_TEST_AMQP_URL": "amqp://a/"}


def test_exported_settings_do_not_steer_the_tests() -> None:
    assert without_settings({"BRIDGE_STORAGE__URL": "x", "PATH": "y"}) == {"PATH": "y"}


def test_a_generated_file_is_stale_until_it_is_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Generated, "text", lambda self: "made\n")
    assert list(stale([EXAMPLE], tmp_path)) == [EXAMPLE]
    write(EXAMPLE, tmp_path)
    assert list(stale([EXAMPLE], tmp_path)) == []
    (tmp_path / EXAMPLE.path).write_text("edited by hand\n")
    assert list(stale([EXAMPLE], tmp_path)) == [EXAMPLE]


def test_cleaning_takes_what_commands_made_and_the_environment_last(tmp_path: Path) -> None:
    for folder in (".venv/lib/__pycache__", ".mypy_cache", "bridge/__pycache__", ".dev", "docs"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "bridge.db").touch()
    found = [str(path.relative_to(tmp_path)) for path in leftovers(tmp_path)]
    assert found == [".mypy_cache", "bridge/__pycache__", ".dev", ".venv"]


def test_the_help_names_every_command_and_each_one_can_be_loaded(capsys) -> None:
    assert commands.main([]) == 0
    shown = capsys.readouterr().out
    for name, command in commands.COMMANDS.items():
        assert f"  {name} " in shown
        assert callable(command.load())


def test_the_scripts_that_start_it_all_are_executable() -> None:
    assert all((ROOT / name).stat().st_mode & 0o111 for name in ("dev", ".ci/run"))


def test_what_takes_longest_is_run_first() -> None:
    waiting = LongestFirst()
    for file, tests in (
        ("tests/unit/b.py", 1),
        ("tests/unit/a.py", 9),
        ("tests/e2e/c.py", 2),
        ("tests/fault/d.py", 3),
    ):
        waiting[file] = dict.fromkeys(map(str, range(tests)), False)
    order = [waiting.popitem(last=False)[0] for _ in range(4)]
    assert order == ["tests/fault/d.py", "tests/e2e/c.py", "tests/unit/a.py", "tests/unit/b.py"]
    assert not waiting
