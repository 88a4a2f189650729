"""Modules of commands are imported when the commands are called."""

import subprocess
import sys

import pytest
import typer

from bridge.cli.main import app
from bridge.terminal.groups import all_commands


@pytest.mark.parametrize("words", [["--help"], ["version"], ["--version"], ["nope"]])
def test_what_asks_for_no_command_imports_no_module_of_one(words: list[str]):
    program = (
        "import sys; from bridge.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*(name for name in sys.modules if name.startswith(('bridge.', 'httpx'))))"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    assert set(done.stdout.splitlines()[-1].split()) == {
        *("bridge.cli", "bridge.cli.main", "bridge.core", "bridge.core.errors"),
        *("bridge.terminal", "bridge.terminal.groups", "bridge.terminal.output"),
    }


def test_a_list_of_commands_says_of_each_what_the_command_says_of_itself():
    for _, group in all_commands(typer.main.get_command(app)):
        for name, listed in getattr(group, "commands", {}).items():
            command = group.load(name)
            assert command.name == name
            assert command.get_short_help_str(200) == listed.get_short_help_str(200)
