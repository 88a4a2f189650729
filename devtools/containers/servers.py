"""RabbitMQ and PostgreSQL in containers by testcontainers, for the suites that else have private servers.

usage: python -m devtools.containers.servers        in the network of the engine; prints JSON, ends with its input
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.rabbitmq import RabbitMqContainer

from devtools.containers.engine import Engine
from devtools.project import ROOT, SetupError, say

RABBITMQ = "rabbitmq:4"
POSTGRES = "postgres:17"
HOST = "127.0.0.1"
LIMITS = "max_message_size = 134217728\n"
"""What tests of large bodies need; RabbitMQ 4 takes 16 MiB by default."""


@contextmanager
def servers(engine: Engine) -> Iterator[tuple[str, str]]:
    """The URLs of a broker and a database in containers; both are gone afterwards."""
    say("containers", f"starting {RABBITMQ} and {POSTGRES} with testcontainers")
    argv = [*engine.enter, sys.executable, "-m", "devtools.containers.servers"]
    with subprocess.Popen(
        argv, env=engine.environment(), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not (line := process.stdout.readline()):
                raise SetupError("the servers in containers did not start, see above")
            told = json.loads(line)
            yield told["amqp"], told["postgres"]
        finally:
            process.stdin.close()
            process.wait(60)


def main() -> None:
    """Starts both, tells their URLs, and removes them when standard input ends."""
    with tempfile.TemporaryDirectory() as made:
        limits = Path(made, "limits.conf")
        limits.write_text(LIMITS)
        limits.chmod(0o644)
        container = RabbitMqContainer(RABBITMQ).with_volume_mapping(
            limits, f"/etc/rabbitmq/conf.d/{limits.name}"
        )
        with container as broker, PostgresContainer(POSTGRES, driver=None) as database:
            tell(broker, database)
            sys.stdin.read()


def tell(broker: RabbitMqContainer, database: PostgresContainer) -> None:
    """Prints the URLs, for `servers`; ports are published on every address of the engine's network, of which tests expect this one."""
    amqp = f"amqp://{broker.username}:{broker.password}@{HOST}:{broker.get_exposed_port(broker.port)}/"
    print(json.dumps({"amqp": amqp, "postgres": database.get_connection_url(host=HOST)}), flush=True)


if __name__ == "__main__":
    main()
