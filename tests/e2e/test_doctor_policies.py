"""What `amqp-bridge doctor` says of policies, by the management API of a broker that has one."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from devtools.rabbitmq import RabbitMQNode
from tests.support.command import amqp_bridge
from tests.support.scene import open_scene


@pytest.fixture(scope="module")
def managed() -> Iterator[RabbitMQNode]:
    """A node with the management plugin."""
    with RabbitMQNode.start(plugins=["rabbitmq_management"]) as node:
        yield node


async def test_policies_that_limit_our_queues_are_problems(managed: RabbitMQNode, tmp_path: Path):
    async with open_scene(managed.url, tmp_path) as scene:
        source = await scene.queue()
        file = tmp_path / "doctor.yaml"
        file.write_text(yaml.safe_dump(scene.settings([], source)))
        arguments = ("doctor", "-c", str(file), "--json", "--management-url", str(managed.management_url))
        sound = await asyncio.to_thread(amqp_bridge, *arguments, cwd=tmp_path)
        assert sound.code == 0, sound.out
        assert "no policy limits our queues" in sound.out
        limits = {"max-length": 10, "delivery-limit": 20}
        policy = ("set_policy", "--apply-to", "queues", "all", ".*", json.dumps(limits))
        managed.rabbitmqctl(*policy)
        told = await asyncio.to_thread(amqp_bridge, *arguments, cwd=tmp_path)
    assert told.code == 1
    findings = [each for each in json.loads(told.out)["findings"] if each["about"] == "policies"]
    levels = {(each["subject"], each["level"]) for each in findings}
    assert (f"queue {scene.prefix}.delay.5", "problem") in levels
    assert (f"queue {source}", "warning") in levels
    assert any("delivery limit to 20" in each["message"] for each in findings)
    assert "guest:guest" not in told.out


async def test_a_management_api_that_does_not_answer_is_no_problem(managed: RabbitMQNode, tmp_path: Path):
    async with open_scene(managed.url, tmp_path) as scene:
        file = tmp_path / "doctor.yaml"
        file.write_text(yaml.safe_dump(scene.settings([], await scene.queue())))
        arguments = ("doctor", "-c", str(file), "--json", "--management-url", "http://u:hunter2@127.0.0.1:1")
        told = await asyncio.to_thread(amqp_bridge, *arguments, cwd=tmp_path)
    assert told.code == 0, told.out
    assert "policies are not to be seen" in told.out
    assert "hunter2" not in told.out
