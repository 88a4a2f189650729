"""RabbitMQ and PostgreSQL in containers by testcontainers, for the suites that else have private servers.

usage: python -m devtools.containers.servers        in the network of the engine; prints JSON, ends with its input
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from testcontainers.community.postgres import PostgresContainer
from testcontainers.community.rabbitmq import RabbitMqContainer

from devtools.containers.engine import Engine
from devtools.project import ROOT, SetupError, say

RABBITMQ = "rabbitmq:4"
POSTGRES = "postgres:17"


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
    with RabbitMqContainer(RABBITMQ) as broker, PostgresContainer(POSTGRES, driver=None) as database:
        place = f"{broker.get_container_host_ip()}:{broker.get_exposed_port(broker.port)}"
        amqp = f"amqp://{broker.username}:{broker.password}@{place}/"
        print(json.dumps({"amqp": amqp, "postgres": database.get_connection_url()}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
