"""`./dev test --rabbitmq`: releases of RabbitMQ that are not installed."""

from pathlib import Path

import pytest

from devtools.checks import session
from devtools.containers.programs import CannotRun
from devtools.containers.releases import entered, obtain_release
from devtools.containers.roots import SERVICES
from devtools.nodes.rabbitmq_install import INSTALLATION_VARIABLE, find_rabbitmq
from devtools.project import ROOT, SetupError


def test_the_release_is_taken_out_of_the_arguments_of_pytest():
    arguments = ["-x", "--rabbitmq", "4.3", "tests/fault"]
    assert session.without_release(arguments) == ("4.3", ["-x", "tests/fault"])
    with pytest.raises(SetupError, match="needs a release"):
        session.without_release(["tests/fault", "--rabbitmq"])


def test_an_unknown_release_is_refused_with_those_there_are():
    with pytest.raises(CannotRun, match=r"4\.0, 4\.3"):
        obtain_release("2.0")
    with pytest.raises(SetupError, match=r"RabbitMQ 2\.0 cannot be had"):
        session.test_with_release("2.0", [])


def test_the_suites_of_the_broker_exist():
    assert all((ROOT / name).exists() for name in (*session.BROKER_SUITES, *session.BROKER_SAMPLE))


def test_a_root_file_system_becomes_an_installation_that_nodes_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    library = tmp_path / "root-1/usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5"
    (library / "plugins/rabbit-4.0.5").mkdir(parents=True)
    found = entered(tmp_path / "root-1", SERVICES)
    assert found.version() == "4.0.5"
    monkeypatch.setenv(INSTALLATION_VARIABLE, str(found.scripts))
    assert find_rabbitmq() == found
    assert entered(tmp_path / "root-1", SERVICES) == found  # once more, as by another checkout
    with pytest.raises(CannotRun, match="has no RabbitMQ"):
        entered(tmp_path, SERVICES)
