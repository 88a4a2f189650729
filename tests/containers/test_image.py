"""The product's image: its size, its users, and how it starts, is asked and stops."""

import json

import pytest

from devtools.containers.engine import Engine
from devtools.containers.product import build_product
from devtools.containers.programs import CannotRun
from tests.support.bridge_container import ANYBODY, HARDENED, Surroundings, ids, settings, until, webhook

MOST_BYTES = 250_000_000
MANY = 300


def test_the_image_is_small_and_says_what_it_is(engine: Engine, image: str):
    (found,) = json.loads(engine.docker("image", "inspect", image))
    assert found["Size"] < MOST_BYTES
    config = found["Config"]
    assert config["User"] == "10001:0"
    assert config["Entrypoint"] == ["amqp-bridge"]
    assert config["Healthcheck"]["Test"] == ["CMD", "amqp-bridge", "health"]
    assert config["Labels"]["org.opencontainers.image.title"] == "amqp-bridge"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"


def test_every_command_can_be_had_without_a_writable_file_system(engine: Engine, image: str):
    run = ("run", "--rm", "--network=none", *HARDENED[:-1], f"--user={ANYBODY}", image)
    assert engine.docker(*run, "version").startswith("amqp-bridge ")
    assert "Usage: amqp-bridge" in engine.docker(*run, "--help")
    told = engine.docker(
        *run[:2], "--interactive", *run[2:], "inspect", "-", given=b'{"event": "order.created"}'
    )
    assert "order.created" in told
    with pytest.raises(CannotRun, match="no such file"):
        engine.docker(*run, "check")


def test_an_image_with_the_extra_for_traces_has_what_traces_need(engine: Engine):
    traced = build_product(engine, "amqp-bridge:traced", extra="otel")
    program = (
        "import bridge.telemetry.tracing; from opentelemetry.exporter.otlp.proto.http import trace_exporter"
    )
    engine.docker("run", "--rm", "--network=none", "--entrypoint=python3", traced, "-c", program)
    engine.docker("image", "rm", traced)


@pytest.mark.parametrize("user", [ANYBODY, "10001:0"])
def test_an_event_of_another_container_is_delivered_and_scraped(surroundings: Surroundings, user: str):
    queue = f"orders-{user.partition(':')[0]}"
    receiver = surroundings.receiver(0)
    surroundings.publish(queue, [{"id": 1}])
    bridge = surroundings.bridge(settings(queue, webhook("shop")), user=user)
    surroundings.healthy(bridge)
    until(lambda: list(ids(surroundings.logs(receiver))), 30, lambda: surroundings.last_words(bridge))
    delivered = lambda: surroundings.metric(bridge, "deliveries_total") == 1  # noqa: E731
    until(delivered, 15, lambda: surroundings.last_words(bridge))
    surroundings.stop(bridge)


def test_what_is_under_way_at_sigterm_is_finished_and_nothing_is_lost(surroundings: Surroundings):
    receiver = surroundings.receiver(0.2)
    surroundings.publish("stream", [{"id": number} for number in range(MANY)])
    told = settings("stream", webhook("shop", concurrency=4), limits={"drain": "10s"})
    bridge = surroundings.bridge(told)
    until(
        lambda: len(list(ids(surroundings.logs(receiver)))) > 20, 60, lambda: surroundings.last_words(bridge)
    )
    surroundings.stop(bridge)
    before = list(ids(surroundings.logs(receiver)))
    assert len(before) < MANY, "it was stopped after the end of the stream"
    again = surroundings.bridge(told)
    until(
        lambda: len(set(ids(surroundings.logs(receiver)))) == MANY,
        120,
        lambda: surroundings.last_words(again),
    )
    surroundings.stop(again)
    got = list(ids(surroundings.logs(receiver)))
    assert len(got) == len(set(got)) == MANY


def test_children_that_scripts_leave_behind_are_reaped_by_the_bridge_as_process_1(surroundings: Surroundings):
    leaving = ["/bin/sh", "-c", "(sleep 0.1 &) ; cat >/dev/null"]
    surroundings.publish("orphans", [{"id": number} for number in range(20)])
    hook = {"name": "leave", "target": {"type": "script", "command": leaving}}
    bridge = surroundings.bridge(settings("orphans", hook))
    surroundings.healthy(bridge)

    def processes() -> list[str]:
        return surroundings.engine.docker("top", bridge, "-eo", "pid,stat,comm").splitlines()[1:]

    delivered = lambda: surroundings.metric(bridge, "deliveries_total") == 20  # noqa: E731
    until(delivered, 60, lambda: surroundings.last_words(bridge))
    until(
        lambda: not any(" Z" in each or "sleep" in each for each in processes()), 15, lambda: str(processes())
    )
    surroundings.stop(bridge)
