"""What `amqp-bridge doctor` says of policies, by the management API of a broker that has one."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import aiormq
import pytest
import yaml

from devtools.rabbitmq import RabbitMQNode
from tests.support.command import amqp_bridge
from tests.support.scene import open_scene
from tests.support.waiting import until


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
        assert "no policy limits the queues of the bridge" in sound.out
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
    assert "policies and delivery limits of sources are not visible" in told.out
    assert "hunter2" not in told.out


async def test_sources_that_differ_or_lose_messages_are_told_with_what_to_do_and_consumed(
    managed: RabbitMQNode, tmp_path: Path
):
    url = managed.add_virtual_host("drifted")
    async with open_scene(url, tmp_path) as scene:
        before, priority = (
            await scene.queue("before"),
            await scene.queue("p", arguments={"x-max-priority": 5}),
        )
        quorum = await scene.queue("quorum", arguments={"x-queue-type": "quorum"})
        managed.default_to_quorum("drifted")
        limits = json.dumps({"delivery-limit": 18})
        managed.rabbitmqctl(
            "set_policy", "-p", "drifted", "--apply-to", "queues", "limits", "^quorum", limits
        )
        connection = await aiormq.connect(url)
        channel = await connection.channel()
        await channel.basic_consume(quorum, never, consumer_tag="somebody-else")
        # The management API tells of consumers some seconds later.
        listed = f"{managed.management_url}/api/consumers/drifted"
        await until(lambda: asked(listed), what="no consumer is listed")
        sources = [
            {"name": name, "queue": queue}
            for name, queue in zip("bpq", (before, priority, quorum), strict=True)
        ]
        hooks = [scene.webhook("crm")]
        file = tmp_path / "doctor.yaml"
        file.write_text(yaml.safe_dump(scene.settings(hooks, sources)))
        arguments = ("doctor", "-c", str(file), "--json", "--management-url", str(managed.management_url))
        told = await asyncio.to_thread(amqp_bridge, *arguments, cwd=tmp_path)
        async with scene.bridge(hooks, sources) as bridge:
            # Consumed all the same, each of them, and counted as what it is.
            await scene.queues.publish(before, [b"1"])
            await scene.queues.publish(priority, [b"2"])
            await until(lambda: len(scene.endpoint.requests) == 2, what=bridge.last_words)
            metrics = await bridge.metrics()
            assert [metrics("source_contract_mismatch", source=name) for name in "bpq"] == [1, 1, 0]
        await connection.close()
    managed.rabbitmqctl("delete_vhost", "drifted")
    found = {
        (each["about"], each["subject"], each["level"]): each for each in json.loads(told.out)["findings"]
    }
    drifted = found["sources", f"b (queue {before!r})", "warning"]
    assert "default queue type is not the type of this queue" in drifted["message"]
    assert "default queue type back" in drifted["advice"]
    differing = found["sources", f"p (queue {priority!r})", "warning"]
    assert "differs in x-max-priority" in differing["message"]
    assert "consumes it anyway" in differing["message"]
    foreign = found["sources", f"q (queue {quorum!r})", "warning"]
    assert "1 consumers are not bridges" in foreign["message"]
    assert "127.0.0.1:" in foreign["message"]
    dropping = found["policies", f"queue {quorum}", "warning"]
    assert "delivery limit 18: what came back more often the broker drops" in dropping["message"]
    assert "dead-letter-exchange" in dropping["advice"]


async def asked(address: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(address) as answer:
        return await answer.json()


async def never(_: object) -> None:
    """Somebody else's consumer."""


async def test_rights_that_are_missing_on_single_names_are_listed_with_them(
    managed: RabbitMQNode, tmp_path: Path
):
    async with open_scene(managed.url, tmp_path) as scene:
        source = await scene.queue()
        managed.rabbitmqctl("add_user", "narrow", "secret")
        managed.rabbitmqctl(
            "set_permissions", "narrow", ".*", r"\.(lanes|control|doctor.*)$", r"\.(doctor.*|dead)$"
        )
        async with scene.bridge([], source):
            pass  # so that everything is there
        settings = scene.settings(
            [scene.webhook("crm")], source, amqp_url=managed.url.replace("guest:guest", "narrow:secret")
        )
        file = tmp_path / "doctor.yaml"
        file.write_text(yaml.safe_dump(settings))
        management = managed.management_url
        by_amqp = await asyncio.to_thread(amqp_bridge, "doctor", "-c", str(file), "--json", cwd=tmp_path)
        arguments = ("doctor", "-c", str(file), "--json", "--management-url", str(management))
        by_both = await asyncio.to_thread(amqp_bridge, *arguments, cwd=tmp_path)
    managed.rabbitmqctl("delete_user", "narrow")
    tried, known = (
        {each["subject"]: each for each in json.loads(told.out)["findings"] if each["about"] == "rights"}
        for told in (by_amqp, by_both)
    )
    subject = "right to {} " + f"{scene.prefix}.*"
    assert f"{scene.prefix}.delay.5," in tried[subject.format("write")]["message"]
    assert f"{scene.prefix}.lanes" not in tried[subject.format("write")]["message"]
    assert f"{scene.prefix}.events, {scene.prefix}.orphans" in tried[subject.format("read")]["message"]
    assert tried["right to write amq.default"]["level"] == "warning"
    # What is not there cannot be tried; the management API tells of it, too.
    assert scene.lane("crm") not in tried[subject.format("read")]["message"]
    assert scene.lane("crm") in known[subject.format("read")]["message"]
    assert source in known[subject.format("read")]["message"]
    assert known[subject.format("configure")]["level"] == "ok"


async def test_a_limit_by_policy_is_known_to_a_bridge_that_is_told_of_the_management_api(
    managed: RabbitMQNode, tmp_path: Path
):
    url = managed.add_virtual_host("limited")
    limits = json.dumps({"delivery-limit": 3})
    managed.rabbitmqctl("set_policy", "-p", "limited", "--apply-to", "queues", "limits", "^source", limits)
    async with open_scene(url, tmp_path) as scene:
        source = await scene.queue(arguments={"x-queue-type": "quorum"})
        await scene.queues.publish(source, [b"1", b"2"])
        await scene.queues.return_all(source, times=1)
        broker = {"management_url": str(managed.management_url)}
        async with scene.bridge([scene.webhook("crm")], source, broker=broker) as bridge:
            await until(lambda: len(scene.endpoint.requests) == 2, what=bridge.last_words)
            assert await bridge.metric("parked_total", reason="delivery_limit") == 2
        assert "guest:guest" not in bridge.log_text
    managed.rabbitmqctl("delete_vhost", "limited")


async def test_a_running_bridge_tells_of_a_policy_of_the_operators_that_would_delete_what_waits(
    managed: RabbitMQNode, tmp_path: Path
):
    url = managed.add_virtual_host("expiring")
    expires = json.dumps({"expires": 3_600_000, "max-length-bytes": 1_000_000})
    managed.rabbitmqctl(
        "set_operator_policy", "-p", "expiring", "--apply-to", "queues", "tidy", ".*", expires
    )
    async with open_scene(url, tmp_path) as scene:
        broker = {"management_url": str(managed.management_url)}
        async with scene.bridge([scene.webhook("crm")], await scene.queue(), broker=broker) as bridge:
            await until(lambda: bridge.said("policy.limits_ours"), what=bridge.last_words)
            [told] = bridge.said("policy.limits_ours")
            assert f"{scene.prefix}.delay.5" in told["queues"]
            assert "deletes it with its messages" in told["effect"]
            [problem] = (await bridge.health())[1]["problems"]
            assert "expires 3600000" in problem
            assert "more queues of the bridge" in problem
    managed.rabbitmqctl("delete_vhost", "expiring")


async def test_what_the_type_and_the_arguments_of_sources_mean_is_told_without_the_management_api(
    managed: RabbitMQNode, tmp_path: Path
):
    async with open_scene(managed.url, tmp_path) as scene:
        queues = {
            "stream": await scene.queue("stream", arguments={"x-queue-type": "stream", "x-max-age": "7D"}),
            "short": await scene.queue("short", arguments={"x-message-ttl": 90_000}),
            "few": await scene.queue("few", arguments={"x-queue-type": "quorum", "x-delivery-limit": 2}),
            "taken": await scene.queue("taken"),
        }
        connection = await aiormq.connect(managed.url)
        await (await connection.channel()).basic_consume(queues["taken"], never, exclusive=True)
        sources = [{"name": name, "queue": queue} for name, queue in queues.items()]
        file = tmp_path / "doctor.yaml"
        file.write_text(yaml.safe_dump(scene.settings([], sources)))
        arguments = ("doctor", "-c", str(file), "--json", "--management-url", "http://127.0.0.1:1")
        told = await asyncio.to_thread(amqp_bridge, *arguments, cwd=tmp_path)
        await connection.close()
    assert told.code == 1
    said = {(each["subject"], each["level"], each["message"]) for each in json.loads(told.out)["findings"]}

    def tells(name: str, level: str, text: str) -> bool:
        return any(queues[name] in about and at == level and text in message for about, at, message in said)

    assert tells("stream", "ok", "a stream: read from the stored offset")
    assert tells("stream", "warning", "x-max-age 7D")
    assert tells("short", "warning", "messages expire after 90 s")
    assert tells("few", "problem", "delivery limit 2: what came back more often the broker drops")
    assert tells("taken", "problem", "another consumer has exclusive access")
