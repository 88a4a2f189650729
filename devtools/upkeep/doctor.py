"""`./dev doctor`: what is found and would be chosen, for bug reports. Changes nothing."""

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from devtools.choice import companions, packages, unpacked
from devtools.choice.broker import URL_VARIABLES
from devtools.choice.container import find_engine
from devtools.choice.database import URL_VARIABLE
from devtools.nodes.handshake import HandshakeError, shake_hands
from devtools.nodes.postgres_install import find_postgres, postgres_version
from devtools.nodes.rabbitmq_install import erlang_version, find_rabbitmq
from devtools.nodes.scratch import is_abandoned, own_folders
from devtools.project import ROOT


def main(_: Sequence[str]) -> int:
    """Prints one line per finding; exit code 1 if no broker could be had."""
    broker = chosen_broker()
    findings = {
        "system": f"{platform.platform()}, {os.cpu_count()} processors, user id {os.geteuid()}",
        "python": f"{platform.python_version()} at {os.path.realpath(sys.executable)}",
        "environment": f"{ROOT / '.venv'}, built with {shutil.which('uv') or 'venv and pip'} if it has to be",
        "rabbitmq": rabbitmq(),
        "erlang": erlang_version() or "not found",
        "postgresql": postgres(),
        "container": find_engine() or "no engine that answers",
        "languages": other_programs(),
        "monitoring": monitoring(),
        "packages": package_manager(),
        "left over": f"{sum(map(is_abandoned, own_folders()))} temporary servers (./dev clean ends them)",
        "broker": broker
        or "NONE: set BRIDGE_BROKER__URL, install rabbitmq-server, or start a container engine",
        "database": chosen_database(),
    }
    for topic, finding in findings.items():
        print(f"{topic:<12} {finding}")
    return 0 if broker else 1


def rabbitmq() -> str:
    """The local RabbitMQ."""
    found = find_rabbitmq()
    return f"{found.version()} in {found.scripts}, {found.epmd}" if found else "not found"


def postgres() -> str:
    """The local PostgreSQL."""
    programs = find_postgres()
    return f"{postgres_version(programs)} in {programs}" if programs else "not found"


def other_programs() -> str:
    """What the tests of other languages and of notifications lack."""
    missing = [need.name for need in companions.missing_needs()]
    return f"tests lack {', '.join(missing)}" if missing else "all that the tests use is there"


def monitoring() -> str:
    """Prometheus and its tools, unpacked for the tests."""
    lacking = [program.name for program in unpacked.missing(unpacked.MONITORING)]
    return f"tests lack {', '.join(lacking)}" if lacking else f"unpacked in {unpacked.cache()}"


def package_manager() -> str:
    """What could install missing packages."""
    if shutil.which("brew"):
        return "brew"
    if shutil.which("apt-get"):
        rights = packages.privilege()
        return "apt-get" if rights is not None else "apt-get, but neither root nor sudo"
    return "none that is known"


def chosen_broker() -> str | None:
    """What `./dev run` and `./dev test` would use, or None if nothing."""
    if variable := next((name for name in URL_VARIABLES if os.environ.get(name)), None):
        return given_broker(variable, os.environ[variable])
    if find_rabbitmq():
        return "a private node of the local RabbitMQ"
    if engine := find_engine():
        return f"a container of {engine}"
    can_install = shutil.which("brew") or (shutil.which("apt-get") and packages.privilege() is not None)
    return "a private node, once rabbitmq-server is installed (which is offered)" if can_install else None


def given_broker(variable: str, url: str) -> str | None:
    """The broker that the user named, or None when it does not let us in."""
    try:
        greeting = shake_hands(url)
    except HandshakeError as error:
        print(f"{variable} names a broker that does not let us in: {error}")
        return None
    return f"{greeting.product} {greeting.version} at {urlsplit(url).hostname}, as {variable} says"


def chosen_database() -> str:
    """What `./dev test` would use."""
    if os.environ.get(URL_VARIABLE):
        return f"what {URL_VARIABLE} names"
    return (
        "a private server of the local PostgreSQL" if find_postgres() else "none, unless it can be installed"
    )
