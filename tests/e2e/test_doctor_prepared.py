"""A user of the broker without the right to configure: doctor lists what somebody has to make, and then the bridge works."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import aio_pika
import pytest
import yaml

from devtools.rabbitmq import NodeControl
from tests.support.command import Ended, amqp_bridge
from tests.support.endpoint import OK, status
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b'{"n":%d}' % number for number in range(6)]
QUEUE = re.compile(r"a durable queue(?: with the arguments (\{.*?\}))?(?:; bind it to (.*))?")
EXCHANGE = re.compile(r"a durable (direct|fanout) exchange(?: with the arguments (\{.*?\}))?")
BINDING = re.compile(r"(\S+) with the routing key (\"[^\"]*\")")


@pytest.fixture
def user(scene: Scene, broker_control: NodeControl) -> Iterator[str]:
    """The URL of a user who may use what is ours and read sources, and configure nothing."""
    name = f"user-{scene.token}"
    ours = rf"^{re.escape(scene.prefix)}\."
    broker_control.rabbitmqctl("add_user", name, "secret")
    broker_control.rabbitmqctl("set_permissions", name, "", ours, rf"{ours}|^source ")
    yield scene.amqp_url.replace("guest:guest", f"{name}:secret")
    broker_control.rabbitmqctl("delete_user", name)


async def examined(scene: Scene, hooks: list[Any], source: str, broker: dict[str, Any]) -> Ended:
    file = scene.folder / "doctor.yaml"
    file.write_text(yaml.safe_dump(scene.settings(hooks, source, broker=broker)))
    return await asyncio.to_thread(amqp_bridge, "doctor", "-c", str(file), "--json", cwd=scene.folder)


def advice(told: Ended) -> dict[str, str]:
    """What is to be made, by subject."""
    findings = json.loads(told.out)["findings"]
    made = (
        each for each in findings if each["level"] == "problem" and each["advice"].startswith("declare it: ")
    )
    return {each["subject"]: each["advice"].removeprefix("declare it: ") for each in made}


async def make(scene: Scene, wanted: dict[str, str]) -> None:
    """What an administrator does with such a list, from the first line to the last."""
    connection = await aio_pika.connect(scene.amqp_url)
    channel = await connection.channel()
    for subject, how in wanted.items():
        kind, name = subject.split(" ", 1)
        if kind == "exchange":
            found = EXCHANGE.fullmatch(how)
            assert found is not None, how
            arguments = json.loads(found[2] or "{}")
            await channel.declare_exchange(name, found[1], durable=True, arguments=arguments)
            continue
        found = QUEUE.fullmatch(how)
        assert found is not None, how
        queue = await channel.declare_queue(name, durable=True, arguments=json.loads(found[1] or "{}"))
        for exchange, key in BINDING.findall(found[2] or ""):
            await queue.bind(exchange, json.loads(key))
    await connection.close()


async def test_what_doctor_lists_is_all_that_a_bridge_without_the_right_to_configure_takes(
    scene: Scene, user: str
):
    source = await scene.queue()
    await scene.queues.publish(source, EVENTS)
    hook = scene.webhook("crm", retry={"schedule": ["0s"], "max_attempts": 5, "jitter": 0})
    broker = {"url": user, "topology": "verify"}
    told = await examined(scene, [hook], source, {"url": user})
    assert told.code == 1
    wanted = advice(told)
    assert f"queue {scene.lane('crm')}" in wanted
    assert len(wanted) == 29
    await make(scene, wanted)
    # An answer that is no success goes the way of a retry: through the lane that was made by hand.
    scene.endpoint.script("/crm", status(500), status(500), OK)
    async with scene.bridge([hook], source, broker=broker, http=HTTP) as bridge:
        await until(
            lambda: bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS)}, 25, what=bridge.last_words
        )
        assert await bridge.metric("retries_scheduled_total", hook="crm") == 2
        assert bridge.said("prefix_lock.unavailable")
        async with operating(bridge) as operator:
            made = await operator.post("/hooks", scene.webhook("later"), status=201)
    # Nothing is missing but the lane of a hook that was made meanwhile.
    told = await examined(scene, [hook], source, broker)
    assert list(advice(told)) == [f"queue {scene.lane(made['id'])}"], told.out
    assert "secret" not in told.out.replace("secrets", "")
