"""What the shell is offered after the tab key."""

from pathlib import Path

import pytest

from tests.support.command import amqp_bridge


def completed(folder: Path, line: str, shell: str = "bash") -> str:
    """What the shell's completion gets for this line, of which the last word is incomplete."""
    env = {
        "_AMQP_BRIDGE_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    ended = amqp_bridge(cwd=folder, env=env)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def test_bash_completes_event_types(tmp_path: Path):
    assert completed(tmp_path, "amqp-bridge publish --type customers.").split() == [
        "customers.customer.create",
        "customers.customer.update",
        "customers.customer.delete",
    ]
    assert completed(tmp_path, "amqp-bridge publish -t tiki").split() == ["tiki.webhook.received"]
    assert completed(tmp_path, "amqp-bridge publish -t no.such").split() == []


def test_a_time_that_cannot_be_read_does_not_keep_the_rest_from_being_completed(tmp_path: Path):
    assert completed(tmp_path, "amqp-bridge deliveries list --since soon --status F").split() == ["FAILED"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_shells_that_can_show_meanings_do(tmp_path: Path, shell: str):
    offered = completed(tmp_path, "amqp-bridge publish --type approval.e", shell)
    assert "approval.expired" in offered
    assert "nobody decided in time" in offered


def test_completion_is_installed_for_bash(tmp_path: Path):
    # Typer finds the shell by the parent process unless it is told not to look.
    env = {"HOME": str(tmp_path), "SHELL": "/bin/bash", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    ended = amqp_bridge("--install-completion", "bash", cwd=tmp_path, env=env)
    assert ended.code == 0, ended.err
    assert "bash completion installed" in ended.out
    assert (
        "_AMQP_BRIDGE_COMPLETE=complete_bash"
        in (tmp_path / ".bash_completions" / "amqp-bridge.sh").read_text()
    )
