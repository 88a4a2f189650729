"""What tests in containers need: an engine of our own with base images and wheels, or the reason why there is none."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools.containers.engine import Engine, open_engine
from devtools.containers.product import wheels
from devtools.containers.programs import CannotRun, Programs, first_line
from devtools.containers.standins import obtain_stand_ins
from devtools.project import say

ENGINE_VARIABLE = "BRIDGE_TEST_ENGINE"
REASON_VARIABLE = "BRIDGE_TEST_NO_ENGINE"


@dataclass(frozen=True)
class Session:
    """What to put before a command so that it reaches containers, and the variables that lead tests to the engine."""

    enter: tuple[str, ...]
    variables: Mapping[str, str]
    engine: Engine | None = None


@contextmanager
def open_session() -> Iterator[Session]:
    """The session; without an engine its variables tell the tests why they are skipped."""
    with ExitStack() as stack:
        try:
            engine = stack.enter_context(open_engine())
            obtain_stand_ins(engine)
            wheels()
        except CannotRun as error:
            reason = first_line(str(error))
            say("containers", f"no container engine, its tests are skipped: {reason}")
            yield Session((), {REASON_VARIABLE: reason})
            return
        place = f"{engine.folder}:{engine.programs.root}"
        yield Session(engine.enter, engine.variables() | {ENGINE_VARIABLE: place}, engine)


def engine_of_session(environment: Mapping[str, str] = os.environ) -> Engine:
    """The engine of the session that started this process; raises CannotRun with the reason for none."""
    if place := environment.get(ENGINE_VARIABLE):
        folder, root = place.split(":")
        return Engine(Programs(Path(root), ""), Path(folder), ())
    raise CannotRun(
        environment.get(REASON_VARIABLE, "tests in containers are run by `./dev test tests/containers`")
    )
