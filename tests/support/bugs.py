"""A bridge with bugs: it raises in one of its stages where the body says so, and is the real one otherwise."""

import sys
from functools import wraps
from importlib import import_module
from typing import Any

BUGGY = (sys.executable, "-c", "from tests.support.bugs import main; main()")
STAGES = {
    b"decode": "bridge.formats.decoder:Decoder.decode",
    b"route": "bridge.pipeline.hook_table:HookTable.match",
    b"attempt": "bridge.targets.webhook.target:WebhookSender.attempt",
    b"record": "bridge.db.rows:_add_event",
}
"""By the word in a body: a function that then raises."""


def main() -> None:
    """`amqp-bridge` with the bugs in place."""
    from bridge.cli.main import main as command

    for word, where in STAGES.items():
        _install(word, where)
    command()


def _install(word: bytes, where: str) -> None:
    module, _, path = where.partition(":")
    owner: Any = import_module(module)
    *holder, name = path.split(".")
    for each in holder:
        owner = getattr(owner, each)
    function = getattr(owner, name)

    @wraps(function)
    def buggy(*arguments: Any, **named: Any) -> Any:
        if any(b"bug in " + word == _body(argument) for argument in arguments):
            raise RuntimeError("a bug")
        return function(*arguments, **named)

    setattr(owner, name, buggy)


def _body(argument: Any) -> bytes:
    """Of a message, or of what holds one."""
    for name in ("delivery", "event", "message"):
        argument = getattr(argument, name, argument)
    found = getattr(argument, "body", b"")
    return found if isinstance(found, bytes) else b""
