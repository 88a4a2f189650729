"""A throw-away RabbitMQ in a container, where an engine answers."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from devtools.nodes import processes
from devtools.nodes.handshake import HandshakeError, shake_hands

IMAGE = "docker.io/library/rabbitmq:4"
BOOT_SECONDS = 120
PULL_SECONDS = 900


class ContainerError(Exception):
    """The engine answered, but the container did not come up; the message holds what was said."""


def find_engine() -> str | None:
    """The program of a container engine that answers: an installed client alone is no engine."""
    for name in ("docker", "podman"):
        if (found := shutil.which(name)) and engine_answers(found):
            return found
    return None


def engine_answers(program: str) -> bool:
    """Whether the engine behind the program can be reached."""
    try:
        return (
            subprocess.run([program, "ps", "-q"], capture_output=True, timeout=10, check=False).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextmanager
def rabbitmq_container(engine: str) -> Iterator[str]:
    """The AMQP URL of a fresh container on a loopback port; it is removed at the end, by its id."""
    container = ask(engine, "run", "-d", "--rm", "-p", "127.0.0.1::5672", IMAGE, seconds=PULL_SECONDS)
    try:
        # "127.0.0.1:49153", one line per address
        address = ask(engine, "port", container, "5672/tcp").splitlines()[0]
        url = f"amqp://guest:guest@{address}/"
        if not processes.poll(lambda: lets_in(url), BOOT_SECONDS, every=0.5):
            raise ContainerError(ask(engine, "logs", "--tail", "20", container))
        yield url
    finally:
        ask(engine, "rm", "-f", container)


def lets_in(url: str) -> bool:
    """Whether the broker lets a client in by now."""
    try:
        shake_hands(url)
    except HandshakeError:
        return False
    return True


def ask(engine: str, *arguments: str, seconds: float = 60) -> str:
    """What the engine printed."""
    result = subprocess.run(
        [engine, *arguments], capture_output=True, text=True, timeout=seconds, check=False
    )
    if result.returncode != 0:
        raise ContainerError(f"{engine} {arguments[0]}: {result.stderr.strip()}")
    return result.stdout.strip()
