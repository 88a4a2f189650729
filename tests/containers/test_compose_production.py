"""The Compose example for production: TLS to broker and database, two replicas, and one of them ends."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from devtools.containers.engine import Engine
from devtools.project import ROOT
from tests.support.bridge_container import until
from tests.support.composing import Project, up

EXAMPLE = ROOT / "deploy" / "compose"
MANY = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with secrets of its own."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl, which makes the example's certificates")
    copy = tmp_path_factory.mktemp("production") / "compose"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([copy / "make-secrets.sh"], check=True)
    return copy


def test_secrets_are_made_once_and_shown_to_their_owner_alone(folder: Path):
    secrets = folder / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    subprocess.run([folder / "make-secrets.sh"], check=True)
    assert {file.name: file.read_bytes() for file in secrets.iterdir()} == before
    context = ssl.create_default_context(cafile=str(secrets / "ca.pem"))
    context.load_cert_chain(secrets / "rabbitmq.pem", secrets / "rabbitmq.key")
    strict = ("openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "rabbitmq.pem", "postgres.pem")
    subprocess.run(strict, cwd=secrets, check=True)  # as Python 3.13 verifies


def succeeded(project: Project) -> int:
    """Deliveries that the history has as done."""
    ask = "select count(*) from deliveries where status = 'SUCCESS'"
    psql = ("psql", "--host=127.0.0.1", "--username=bridge", "--tuples-only", "--command", ask)
    password = (project.file.parent / "secrets" / "postgres.password").read_text().strip()
    return int(project.inside("postgres", "env", f"PGPASSWORD={password}", *psql))


def test_two_replicas_share_the_work_over_tls_and_one_goes_on_alone(engine: Engine, image: str, folder: Path):
    with up(engine, folder / "docker-compose.yml", "production") as project:
        first, second = project.compose("ps", "--quiet", "bridge").split()
        events = "".join(f'{{"id": {number}}}\n' for number in range(MANY)).encode()
        publish = ("amqp-bridge", "publish", "--source", "orders", "--create", "--ndjson", "-")
        engine.docker("exec", "--interactive", first, *publish, given=events)
        engine.docker("stop", "--time=45", first)
        until(
            lambda: succeeded(project) == MANY,
            60,
            lambda: f"{succeeded(project)} {project.logs('bridge')[-2000:]}",
        )
        engine.docker("exec", "--interactive", second, *publish, given=events)
        until(lambda: succeeded(project) == 2 * MANY, 60, lambda: project.logs("bridge")[-2000:])
        listen = project.inside("rabbitmq", "rabbitmq-diagnostics", "-q", "listeners")
        assert "port: 5671" in listen
        assert "port: 5672" not in listen
        ask = "select count(*) from pg_stat_ssl join pg_stat_activity using (pid) where client_addr is not null and not ssl"
        psql = ("psql", "--host=127.0.0.1", "--username=bridge", "--tuples-only", "--command", ask)
        password = (folder / "secrets" / "postgres.password").read_text().strip()
        assert (
            int(project.inside("postgres", "env", f"PGPASSWORD={password}", "PGSSLMODE=require", *psql)) == 0
        )
