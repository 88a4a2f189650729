import io
import os
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from devtools.choice import broker, container, database, packages
from devtools.choice.broker import open_broker
from devtools.choice.database import open_database
from devtools.nodes.rabbitmq_install import Installation, find_rabbitmq
from devtools.project import SetupError

DEAD_BROKER = "amqp://guest:guest@127.0.0.1:1/"


class Machine:
    """A machine as the choice sees it, and what was done to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.installed: Installation | None = None
        self.engine: str | None = None
        self.can_install = False
        self.started: list[str] = []
        monkeypatch.setattr(broker, "find_rabbitmq", lambda: self.installed)
        monkeypatch.setattr(broker, "private_node", self.private_node)
        monkeypatch.setattr(broker, "in_container", self.container)
        monkeypatch.setattr(container, "find_engine", lambda: self.engine)
        monkeypatch.setattr(packages, "install", self.install)

    @contextmanager
    def private_node(self, found, plugins, config):
        self.started.append("node")
        yield broker.Broker("amqp://node/")

    @contextmanager
    def container(self, engine):
        self.started.append(engine)
        yield broker.Broker("amqp://container/")

    def install(self, apt: str, brew: str) -> bool:
        self.started.append(f"apt {apt}")
        if self.can_install:
            self.installed = Installation(Path("/scripts"), Path("/epmd"))
        return self.can_install


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def choose(environment: Mapping[str, str] | None = None) -> str:
    with open_broker(environment or {}) as chosen:
        return chosen.url


@pytest.mark.parametrize("variable", broker.URL_VARIABLES)
def test_a_given_broker_that_is_dead_is_an_error_and_not_replaced(machine: Machine, variable: str) -> None:
    machine.engine = "docker"
    with pytest.raises(SetupError, match=variable):
        choose({variable: DEAD_BROKER})
    assert machine.started == []


def test_an_installed_rabbitmq_comes_before_a_container(machine: Machine) -> None:
    machine.installed, machine.engine = Installation(Path("/scripts"), Path("/epmd")), "docker"
    assert choose() == "amqp://node/"


def test_a_container_engine_comes_before_an_installation(machine: Machine) -> None:
    machine.engine, machine.can_install = "docker", True
    assert choose() == "amqp://container/"


def test_a_missing_rabbitmq_is_installed_when_nothing_else_is_there(machine: Machine) -> None:
    machine.can_install = True
    assert choose() == "amqp://node/"
    assert machine.started == ["apt rabbitmq-server", "node"]


def test_without_any_way_to_a_broker_the_ways_out_are_named(machine: Machine) -> None:
    with pytest.raises(SetupError, match=r"(?s)BRIDGE_BROKER__URL.*apt-get install rabbitmq-server.*docker"):
        choose()


def test_a_given_database_that_is_dead_is_an_error() -> None:
    dead = {database.URL_VARIABLE: "postgresql://someone:secret@127.0.0.1:1/postgres"}
    with pytest.raises(SetupError, match=database.URL_VARIABLE), open_database(dead):
        pass


def test_without_a_database_the_tests_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "find_or_install", lambda: None)
    with open_database({}) as url:
        assert url is None


def test_a_wrapper_that_switches_users_is_not_taken_for_the_real_scripts(tmp_path: Path, monkeypatch) -> None:
    wrappers = fake_programs(tmp_path / "sbin", "rabbitmq-server", "rabbitmqctl", "epmd")
    monkeypatch.setenv("PATH", str(wrappers))
    assert find_rabbitmq(folders=[]) is None
    real = fake_programs(tmp_path / "lib", "rabbitmq-server", "rabbitmqctl", "rabbitmq-env")
    assert find_rabbitmq(folders=[str(real)]) == Installation(real, wrappers / "epmd")


def fake_programs(folder: Path, *names: str, body: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of a fake apt-get that knows no package until its lists are updated; it notes the policy file."""
    log, policy, lists = tmp_path / "log", tmp_path / "policy-rc.d", tmp_path / "lists"
    note = f'[ -x "{policy}" ] && held=held || held=free\necho "$DEBIAN_FRONTEND $held $*" >>"{log}"'
    outcome = f'case "$*" in *update*) touch "{lists}" ;; *) [ -e "{lists}" ] ;; esac'
    programs = fake_programs(tmp_path / "bin", "apt-get", body=f"{note}\n{outcome}")
    fake_programs(programs, "sudo", body='[ "$1" = -n ] && shift; exec "$@"')
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin:/bin")
    monkeypatch.setattr(packages, "POLICY", policy)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return log


def test_services_are_held_back_while_a_package_is_installed_and_only_then(apt: Path, tmp_path: Path) -> None:
    assert packages.install(apt="rabbitmq-server", brew="rabbitmq")
    first, update, second = apt.read_text().splitlines()
    assert first == second == "noninteractive held -qq install -y --no-install-recommends rabbitmq-server"
    assert update.endswith("update")
    assert not (tmp_path / "policy-rc.d").exists()


def test_a_policy_that_was_there_before_is_left_as_it_is(apt: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("mine")
    packages.install(apt="rabbitmq-server", brew="rabbitmq")
    assert policy.read_text() == "mine"


def test_a_terminal_can_say_no(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return "n\n"

    monkeypatch.setattr("sys.stdin", Terminal())
    assert not packages.install(apt="rabbitmq-server", brew="rabbitmq")
    assert not apt.exists()


def test_an_installed_client_without_an_engine_is_no_engine(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(fake_programs(tmp_path, "docker", body="exit 1")))
    assert container.find_engine() is None


def test_a_container_is_used_on_its_loopback_port_and_removed_by_its_id(tmp_path: Path, monkeypatch) -> None:
    log = tmp_path / "log"
    answers = 'case "$1" in run) echo c0ffee ;; port) echo 127.0.0.1:49153 ;; esac'
    programs = fake_programs(tmp_path, "docker", body=f'echo "$*" >>"{log}"\n{answers}')
    monkeypatch.setattr(container, "lets_in", lambda url: True)
    with container.rabbitmq_container(str(programs / "docker")) as url:
        assert url == "amqp://guest:guest@127.0.0.1:49153/"
    run, *_, last = log.read_text().splitlines()
    assert "127.0.0.1::5672" in run
    assert last == "rm -f c0ffee"
