"""A reader of our documents: a shell in a copy of the checkout, with a broker of its own."""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.choice.broker import Broker
from devtools.nodes.ports import free_ports
from devtools.project import PROGRAMS, ROOT
from devtools.rabbitmq import NodeControl
from tests.support.walkthrough import Block, Shell, shell, stand_ins


@pytest.fixture
def vhost_url(shared_broker: Broker, broker_control: NodeControl) -> Iterator[str]:
    """A virtual host of the test's own: documents use the names that the bridge has by default."""
    name = f"readme-{secrets.token_hex(4)}"
    yield broker_control.add_virtual_host(name)
    broker_control.rabbitmqctl("delete_vhost", name)


@pytest.fixture
def adjust(vhost_url: str) -> dict[str, str]:
    """What differs for a test: the broker, and ports that others may use at the same time."""
    http, receiver = free_ports(2)
    return {
        "amqp://guest:guest@127.0.0.1:5672/": vhost_url,
        "127.0.0.1:8080": f"127.0.0.1:{http}",
        "127.0.0.1:9000": f"127.0.0.1:{receiver}",
        "--port 9000": f"--port {receiver}",
    }


def adjusted(found: Block, adjust: dict[str, str]) -> Block:
    text = found.text
    for old, new in adjust.items():
        text = text.replace(old, new)
    return Block(found.language, text, found.file)


def environment(**variables: str) -> dict[str, str]:
    """What a reader's shell has; nothing of the test's own settings."""
    return {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        **variables,
    }


@pytest.fixture
def reader(tmp_path: Path, adjust: dict[str, str]) -> Iterator[Shell]:
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("*.db*"))
    listen = adjust["127.0.0.1:8080"]
    variables = environment(BRIDGE_HTTP__LISTEN=listen, BRIDGE_URL=f"http://{listen}")
    variables["PATH"] += f"{os.pathsep}{stand_ins(tmp_path)}"
    with shell(folder, variables, tmp_path / "said") as opened:
        yield opened
