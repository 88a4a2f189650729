"""Passwords of brokers and database are changed under a running bridge: told while refused, read anew, and nothing lost."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from devtools.rabbitmq import NodeControl
from tests.support.endpoint import Received, open_endpoint
from tests.support.postgres import execute
from tests.support.scene import Scene
from tests.support.two_replicas import Database
from tests.support.waiting import until


@pytest.fixture
def user(broker_control: NodeControl, amqp_url: str) -> Iterator[str]:
    """A user of the broker's with the password `first`."""
    broker_control.rabbitmqctl("add_user", "rotating", "first")
    broker_control.rabbitmqctl("set_permissions", "rotating", ".*", ".*", ".*")
    yield amqp_url.replace("guest:guest", "rotating:${BROKER_WORD}")
    broker_control.rabbitmqctl("delete_user", "rotating")


@pytest.fixture
def role(postgres_url: str, postgres_admin_url: str) -> Iterator[str]:
    """A user of the database's, who owns its schema, with the password `first`."""
    for statement in ("create role rotating login superuser password 'first'",):
        asyncio.run(execute(postgres_admin_url, statement))
    before, _, rest = postgres_url.partition("://")
    yield f"{before}://rotating:${{DATABASE_WORD}}@{rest.partition('@')[2]}"
    asyncio.run(
        execute(
            postgres_admin_url,
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotating'",
        )
    )
    for statement in ("reassign owned by rotating to current_user", "drop owned by rotating"):
        asyncio.run(execute(postgres_url, statement))
    asyncio.run(execute(postgres_admin_url, "drop role rotating"))


async def test_passwords_are_changed_everywhere_and_read_anew_from_where_they_stand(
    scene: Scene, user: str, role: str, postgres_url: str, broker_control: NodeControl
):
    source, sink = await scene.queue(), await scene.queue("sink")
    secrets = scene.folder / "secrets"
    secrets.mkdir()
    variables = scene.folder / "variables"
    (secrets / "BROKER_WORD").write_text("first\n")
    variables.write_text("DATABASE_WORD=first\n")
    hooks = [
        scene.webhook("crm"),
        {"name": "far", "target": {"type": "queue", "queue": sink, "broker": "far"}},
    ]
    sections = {
        "broker": {"url": user, "outage_after": "1s"},
        "brokers": {"far": {"url": user}},
        "storage": {"url": role, "outage_after": "1s"},
    }
    database = Database(postgres_url)

    async def delivered(count: int) -> bool:
        rows = await database.rows("select count(*) from deliveries where status = 'SUCCESS'")
        return rows == [(2 * count,)]

    async with scene.prepared(hooks, source, **sections) as bridge:
        bridge.variables = {"BRIDGE_SECRETS_DIR": str(secrets), "BRIDGE_ENV_FILE": str(variables)}
        await bridge.start()
        await scene.queues.publish(source, [b"1"])
        await until(lambda: delivered(1), what=bridge.last_words)

        await asyncio.to_thread(broker_control.rabbitmqctl, "change_password", "rotating", "second")
        await execute(postgres_url, "alter role rotating password 'second'")
        await asyncio.to_thread(
            broker_control.rabbitmqctl, "close_all_user_connections", "rotating", "rotation"
        )
        await execute(
            postgres_url,
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rotating'",
        )
        roles = {"consume", "publish", "topology", "publish:far", "database"}
        await until(
            lambda: {each["role"] for each in bridge.said("login.refused")} == roles, what=bridge.last_words
        )
        status, body = await bridge.health()
        assert (status, body["status"], len(body["problems"])) == (200, "degraded", len(roles))
        assert all("has been refused for" in problem for problem in body["problems"])
        assert await bridge.metric("login_refused") == len(roles)
        assert await bridge.metric("login_refused", role="database") == 1

        (secrets / "BROKER_WORD").write_text("second\n")
        variables.write_text("DATABASE_WORD=second\n")
        await scene.queues.publish(source, [b"2"])
        await until(lambda: delivered(2), 30, what=bridge.last_words)

        async def well() -> bool:
            return not (await bridge.health())[1]["problems"]

        await until(well, what=bridge.last_words)
        assert await bridge.metric("login_refused") == 0
        assert not {"first", "second"} & set(bridge.log_text.replace(":", " ").replace("@", " ").split())
        await bridge.stop()
    assert sorted(scene.endpoint.bodies("/crm")) == [b"1", b"2"]


async def test_the_login_to_a_hooks_proxy_is_read_anew_and_nothing_else_of_the_hook(
    scene: Scene, tmp_path: Path
):
    source, word = await scene.queue(), tmp_path / "PROXY_WORD"
    word.write_text("first")

    async def proxied(request: Received) -> web.Response:
        wanted = b64encode(f"u:{word.read_text()}".encode()).decode()
        login = request.headers.get("Proxy-Authorization", "")
        return web.Response(status=200 if login == f"Basic {wanted}" else 407)

    async with open_endpoint() as proxy:
        proxy.script("/crm", proxied)
        hook = scene.webhook(
            "crm",
            target_proxy=f"http://u:${{PROXY_WORD}}@127.0.0.1:{proxy.port}",
            retry={"schedule": ["1s"], "max_attempts": 60},
        )
        async with scene.prepared([hook], source) as bridge:
            bridge.variables = {"BRIDGE_SECRETS_DIR": str(tmp_path)}
            await bridge.start()
            await scene.queues.publish(source, [b"1"])
            await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)
            word.write_text("second")
            await scene.queues.publish(source, [b"2"])
            await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 2}, 30, what=bridge.last_words)
            await bridge.stop()
