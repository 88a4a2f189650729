"""`./dev test` and `./dev lint`: all that CI checks, or pytest alone with the arguments given."""

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import PurePath

from devtools.checks import pytest_order, pytest_steps
from devtools.checks.container_stage import FOLDER, run_containers
from devtools.checks.static import static_steps
from devtools.checks.steps import Result, Step, run_steps
from devtools.choice import companions
from devtools.choice.broker import Broker, open_broker
from devtools.choice.database import URL_VARIABLE, open_database
from devtools.containers.programs import CannotRun
from devtools.containers.releases import obtain_release
from devtools.containers.session import open_session
from devtools.nodes.processes import run_foreground
from devtools.nodes.rabbitmq_install import INSTALLATION_VARIABLE
from devtools.project import ROOT, SetupError, program_environment, say, tell_environment, without_settings

AMQP_VARIABLE = "BRIDGE_TEST_AMQP_URL"
FOLDER_VARIABLE = "BRIDGE_TEST_BROKER_FOLDER"
PROFILE_VARIABLE = "TEST_PROFILE"
MARKER = "containers"


def test(arguments: Sequence[str]) -> int:
    """The exit code: without arguments of every check, with arguments of pytest alone."""
    tell_environment()
    if "--thorough" in arguments:
        os.environ[PROFILE_VARIABLE] = "thorough"
        arguments = [argument for argument in arguments if argument != "--thorough"]
    if "--rabbitmq" in arguments:
        return test_with_release(*without_release(arguments))
    if "--containers" in arguments:
        return test_in_containers([argument for argument in arguments if argument != "--containers"])
    if arguments:
        return run_pytest(arguments, [])
    results = run_containers(lambda: [*run_steps([*static_steps(), UNIT_TESTS]), run_other_release()])
    code = run_pytest((), results)
    return 1 if code or not all(result.passed for result in results) else 0


def lint(_: Sequence[str]) -> int:
    """The exit code of the static checks."""
    results = run_steps(static_steps())
    return 0 if all(result.passed for result in results) else 1


WORKERS = min((os.cpu_count() or 1) + 1, 4)
"""One more than there are processors: half of the suite's time is waiting."""
AT_ONCE = ("-p", pytest_order.__name__, "--numprocesses", str(WORKERS), "--dist", "loadfile")
"""How the whole suite is run. Tests of one file share brokers, so they stay together."""

UNIT_TESTS = Step(
    "unit tests",
    (
        *["nice", "-n", "5"],
        sys.executable,
        *["-m", "devtools", "test", "tests/unit", "--numprocesses"],
        str(WORKERS - 1),
    ),
    tells=True,
)
"""Beside the tests in containers, which mostly wait, and may not wait for these."""

BROKER_SUITES = (
    "tests/contract",
    "tests/integration/amqp",
    "tests/integration/pipeline",
    "tests/fault",
    *("tests/e2e/test_doctor.py", "tests/e2e/test_doctor_policies.py", "tests/e2e/test_doctor_prepared.py"),
    *("tests/e2e/test_topology.py", "tests/e2e/test_publish.py", "tests/e2e/test_inspect.py"),
)
"""What another release of RabbitMQ may break."""
OTHER_RELEASE = "4.0"
BROKER_SAMPLE = (
    "tests/integration/amqp",
    "tests/fault/test_oversized.py",
    "tests/fault/test_default_queue_type.py",
    "tests/e2e/test_doctor.py",
)
"""Of those a minute's worth, for every run of all tests."""


def run_pytest(arguments: Sequence[str], results: Sequence[Result]) -> int:
    """The exit code of pytest, with the services it needs."""
    with ExitStack() as stack:
        enter: tuple[str, ...] = ()
        if only_in("containers", arguments):
            session = stack.enter_context(open_session())
            enter, variables = session.enter, dict(session.variables)
        else:
            variables = stack.enter_context(services(arguments))
        if results:
            variables[pytest_steps.VARIABLE] = "\n".join(map(str, results))
        others = (*AT_ONCE, f"--ignore={FOLDER}", "--ignore=tests/unit")
        return pytest(arguments or others, variables, enter)


def test_in_containers(arguments: Sequence[str]) -> int:
    """The exit code of the tests that are marked for it, with broker and database in containers, else private ones."""
    with ExitStack() as stack:
        session = stack.enter_context(open_session())
        variables = dict(session.variables)
        if session.engine is None:
            variables |= stack.enter_context(services(()))
        else:
            # Imported late: its libraries take half a second.
            from devtools.containers.servers import servers

            url, database_url = stack.enter_context(servers(session.engine))
            variables |= service_variables(Broker(url), database_url)
        return pytest([*AT_ONCE, "-m", MARKER, *arguments], variables, session.enter)


def without_release(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The release that follows `--rabbitmq`, and the arguments without both."""
    place = arguments.index("--rabbitmq")
    if place + 1 == len(arguments):
        raise SetupError("--rabbitmq needs a release: ./dev test --rabbitmq 4.0")
    return arguments[place + 1], [*arguments[:place], *arguments[place + 2 :]]


def test_with_release(release: str, arguments: Sequence[str]) -> int:
    """The exit code of the broker's suites, or of the tests given, on nodes of this release of RabbitMQ."""
    try:
        installation = obtain_release(release)
    except CannotRun as error:
        raise SetupError(f"RabbitMQ {release} cannot be had: {error}") from error
    os.environ[INSTALLATION_VARIABLE] = str(installation.scripts)
    return run_pytest(arguments or (*AT_ONCE, *BROKER_SUITES), [])


def run_other_release() -> Result:
    """The result of a few tests on a release that is not installed; where it cannot be had, that is said and no failure."""
    begun, code = time.monotonic(), 0
    try:
        code = test_with_release(OTHER_RELEASE, (*AT_ONCE, *BROKER_SAMPLE))
    except SetupError as error:
        say("broker", f"{error}; not run on it: {', '.join(BROKER_SAMPLE)}")
    finally:
        os.environ.pop(INSTALLATION_VARIABLE, None)
    return Result(f"RabbitMQ {OTHER_RELEASE}", code == 0, time.monotonic() - begun)


def pytest(arguments: Sequence[str], variables: Mapping[str, str], enter: Sequence[str] = ()) -> int:
    """The exit code of pytest with these arguments, started with `enter` before it."""
    argv = [*enter, sys.executable, "-m", "pytest", "-p", pytest_steps.__name__, *arguments]
    environment = {**without_settings(program_environment()), **variables}
    return run_foreground(argv, env=environment, cwd=ROOT)


@contextmanager
def services(arguments: Sequence[str]) -> Iterator[dict[str, str]]:
    """The variables that lead the tests to a broker and a database, which run meanwhile."""
    if only_in("unit", arguments):
        yield {}
        return
    companions.obtain()
    with open_broker() as broker, open_database() as database_url:
        yield service_variables(broker, database_url)


def only_in(folder: str, arguments: Sequence[str]) -> bool:
    """Whether the paths among the arguments all lie in this folder of tests: those in unit need no services."""
    paths = [PurePath(argument) for argument in arguments if argument.startswith("tests")]
    return bool(paths) and all(path.parts[:2] == ("tests", folder) for path in paths)


def service_variables(broker: Broker, database_url: str | None) -> dict[str, str]:
    """How the tests find the services."""
    variables = {AMQP_VARIABLE: broker.url}
    if broker.folder is not None:
        variables[FOLDER_VARIABLE] = str(broker.folder)
    if database_url is not None:
        variables[URL_VARIABLE] = database_url
    return variables
