import http.client
import json
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from devtools.choice.broker import Broker
from devtools.demo.show import samples
from devtools.demo.stage import SOURCE
from devtools.rabbitmq import NodeControl
from tests.support.demo import Demo, demo
from tests.support.queues import open_queues
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)
EVENT = b'{"type":"","call":"","data":{"model":"models\\\\admin\\\\partners\\\\Partner","action":"create","attributes":{"id":"9"}}}'


def get(url: str, token: str = "") -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", parts.path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.fixture
def empty_vhost(shared_broker: Broker, broker_control: NodeControl) -> Iterator[str]:
    name = f"demo-{secrets.token_hex(4)}"
    yield broker_control.add_virtual_host(name)
    broker_control.rabbitmqctl("delete_vhost", name)


def objects(control: NodeControl, url: str) -> list[str]:
    """Queues, and exchanges that the broker does not have from the start."""
    vhost = urlsplit(url).path[1:]
    queues = control.rabbitmqctl("list_queues", "--vhost", vhost, "--no-table-headers", "name")
    exchanges = control.rabbitmqctl("list_exchanges", "--vhost", vhost, "--no-table-headers", "name")
    return [*queues.split(), *(name for name in exchanges.split() if not name.startswith("amq."))]


def test_a_check_sees_every_delivery_succeed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    started = time.monotonic()
    with demo(tmp_path, "--check") as run:
        assert run.wait() == 0, run.err
        assert time.monotonic() - started < 30
        assert run.leftovers() == []
    lines = run.out.splitlines()
    tried_again = [line for line in lines if " RETRYING " in line]
    deliveries = [line for line in lines if line not in tried_again]
    assert [line for line in deliveries if " SUCCESS " not in line or not line.endswith(" ms")] == []
    assert {line.split()[2] for line in deliveries} == {"crm", "portal", "shaky", "announce", "copy"}
    assert ["shaky" in line and "503" in line and "(again in" in line for line in tried_again] == [True, True]
    assert f"{len(samples())} events, {len(deliveries)} deliveries, all SUCCESS" in run.err
    assert (
        "10 signatures verified; 2 failures tried again; 7 bodies copied byte for byte; source empty"
        in run.err
    )


async def test_a_demo_shows_what_is_published_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with demo(tmp_path) as run:
        await until(lambda: run.stays, 60)
        await until(lambda: all_delivered(run), what=lambda: run.out)
        assert_answers(run)
        async with open_queues(broker_url(run)) as queues:
            await queues.publish(SOURCE, [EVENT])
            await until(lambda: "partners.partner.create" in run.out, what=lambda: run.out)
            await queues.declare(SOURCE)  # as its publishers do: 406 if it were made otherwise
        run.press_enter()
        await until(lambda: run.out.count("customers.customer.create") == 12, what=lambda: run.out)
        run.interrupt()
        assert run.wait() == 130, run.err
        assert run.leftovers() == []


def all_delivered(run: Demo) -> bool:
    """Nothing is under way any more: no script runs, which is for a moment the bridge's own image."""
    return len(run.out.splitlines()) >= 22


def broker_url(run: Demo) -> str:
    return run.err.partition("private node at ")[2].split()[0]


def assert_answers(run: Demo) -> None:
    status, body = get(run.said("health"))
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert "bridge_deliveries_total" in get(run.said("metrics"))[1]
    for topic in ("api", "ui"):
        line = next(line for line in run.err.splitlines() if line.startswith(topic))
        answers = get(run.said(topic), run.said("token"))[0] != 404
        assert answers != ("does not answer in this version" in line)


async def test_a_second_ctrl_c_ends_a_demo_whose_bridge_does_not_stop(tmp_path: Path) -> None:
    with demo(tmp_path) as run:
        await until(lambda: run.stays, 60)
        await until(lambda: all_delivered(run), what=lambda: run.out)
        run.bridge().send_signal(signal.SIGSTOP)
        run.interrupt()
        with pytest.raises(AssertionError):
            await until(lambda: run.process.poll() is not None, 1, what="it waits for the bridge")
        run.interrupt()
        await until(lambda: run.process.poll() is not None, 20, what=lambda: run.err)
        await until(lambda: not run.leftovers(), 20, what=lambda: str(run.leftovers()))


async def test_nothing_outlives_a_killed_demo(tmp_path: Path) -> None:
    with demo(tmp_path) as run:
        await until(lambda: run.stays, 60)
        run.process.kill()
        run.process.wait()
        await until(lambda: not run.leftovers(), 30, what=lambda: str(run.leftovers()))


async def test_a_bridge_that_dies_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    with demo(tmp_path) as run:
        await until(lambda: run.stays, 60)
        await until(lambda: all_delivered(run), what=lambda: run.out)
        run.bridge().kill()
        assert run.wait() == 2
        assert "the bridge ended with exit code -9" in run.err
        assert '"logger":"bridge.' in run.err
        assert run.leftovers() == []


async def test_a_given_broker_is_left_as_it_was(
    tmp_path: Path, empty_vhost: str, broker_control: NodeControl
) -> None:
    with demo(tmp_path, "--check", BRIDGE_BROKER__URL=empty_vhost) as run:
        assert run.wait() == 0, run.err
    assert objects(broker_control, empty_vhost) == []
    assert f"queue {SOURCE}, declared" in run.err


async def test_a_queue_that_somebody_uses_on_a_given_broker_is_not_touched(
    tmp_path: Path, empty_vhost: str, broker_control: NodeControl
) -> None:
    async with open_queues(empty_vhost) as queues:
        await queues.declare(SOURCE)
        await queues.publish(SOURCE, [b"somebody's"])
        with demo(tmp_path, "--check", BRIDGE_BROKER__URL=empty_vhost) as run:
            assert run.wait() == 0, run.err
        assert [message.body for message in await queues.take_all(SOURCE)] == [b"somebody's"]
    assert objects(broker_control, empty_vhost) == [SOURCE]
