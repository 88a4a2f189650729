"""What the help of commands shows as examples can be typed."""

from typing import Any

import pytest
import typer

from bridge.cli.main import app
from tests.support.help_examples import examples


@pytest.mark.parametrize("words", examples(), ids=" ".join)
def test_an_example_in_a_help_is_a_command_with_options_that_there_are(words: tuple[str, ...]):
    command: Any = typer.main.get_command(app)
    rest = list(words)
    context = None
    while True:
        context = command.make_context(command.name, rest, parent=context)
        rest = [*getattr(context, "_protected_args", []), *context.args]
        if not rest or not hasattr(command, "commands"):
            return
        _, command, rest = command.resolve_command(context, rest)
        assert command is not None


def test_there_are_examples_of_every_group():
    groups = {words[0] for words in examples()}
    assert {"deliveries", "events", "explain", "hooks", "quarantine", "replay", "stats", "audit"} <= groups
