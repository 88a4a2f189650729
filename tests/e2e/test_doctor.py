"""`amqp-bridge doctor` on a real broker: it tells what is wrong, and changes nothing."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aio_pika
import pytest
import yaml

from devtools.rabbitmq import NodeControl
from tests.support.command import Ended, amqp_bridge
from tests.support.scene import Scene

TOKEN = "doctor-Geheimnis-1234"


@pytest.fixture
def limited(broker_control: NodeControl, amqp_url: str) -> Iterator[str]:
    """The URL of a user who may configure and write nothing but what begins with `mine`."""
    broker_control.rabbitmqctl("add_user", "doctors-patient", "secret")
    broker_control.rabbitmqctl("set_permissions", "doctors-patient", "^mine", "^mine", "^(?!closed)")
    yield amqp_url.replace("guest:guest", "doctors-patient:secret")
    broker_control.rabbitmqctl("delete_user", "doctors-patient")


async def examined(scene: Scene, sources: Any, hooks: Any = (), **sections: Any) -> Ended:
    """What doctor says, as JSON, of a bridge like this."""
    file = scene.folder / "bridge.yaml"
    file.write_text(
        yaml.safe_dump(scene.settings(hooks, sources, **{"http": {"admin_token": TOKEN}, **sections}))
    )
    return await asyncio.to_thread(amqp_bridge, "doctor", "-c", str(file), "--json", cwd=scene.folder)


def found(told: Ended, about: str, level: str) -> str:
    """Subjects and messages of findings of this kind, one a line."""
    rows = [
        each for each in json.loads(told.out)["findings"] if (each["about"], each["level"]) == (about, level)
    ]
    return "\n".join(f"{each['subject']}: {each['message']}" for each in rows)


def objects_of(scene: Scene, source: str, broker: NodeControl) -> list[str]:
    """The source with its messages, and all that is ours; other tests have theirs on the same broker."""
    listed = (
        broker.rabbitmqctl("list_queues", "name", "messages"),
        broker.rabbitmqctl("list_exchanges", "name"),
    )
    names = "\n".join(listed).splitlines()
    return sorted(name for name in names if name.startswith((f"{scene.prefix}.", f"{source}\t")))


async def test_a_sound_installation_is_told_to_be_one_and_left_as_it_is(
    scene: Scene, broker_control: NodeControl
):
    source = await scene.queue()
    await scene.queues.publish(source, [b"{}"] * 3)
    before = objects_of(scene, source, broker_control)
    assert before == [f"{source}\t3"]
    told = await examined(scene, source, [scene.webhook("crm")])
    assert told.code == 0, told.out
    assert json.loads(told.out)["ok"] is True
    assert "it exists as publishers declare it, 3 messages" in found(told, "sources", "ok")
    assert found(told, "rights", "ok").count("granted") == 3
    assert "they are declared at the start" in found(told, "objects", "ok")
    assert "none yet" in found(told, "database", "ok")
    assert not (scene.folder / "bridge.db").exists()
    assert objects_of(scene, source, broker_control) == before


async def test_a_running_bridge_is_no_foreign_consumer_and_its_objects_are_right(scene: Scene):
    source = await scene.queue()
    async with scene.bridge([scene.webhook("crm")], source, http={"admin_token": TOKEN}) as bridge:
        listen = bridge.url.removeprefix("http://")
        told = await examined(
            scene, source, [scene.webhook("crm")], http={"admin_token": TOKEN, "listen": listen}
        )
        assert told.code == 0, told.out
        assert "all of them bridges" in found(told, "sources", "ok")
        assert "a bridge answers" in found(told, "http", "ok")
        assert "of this version" in found(told, "database", "ok")
        assert "are declared correctly" in found(told, "objects", "ok")
        other = {"admin_token": "another-token-of-this-file", "listen": listen}
        refused = await examined(scene, source, http=other)
        assert refused.code == 1
        assert "does not take http.admin_token" in found(refused, "http", "problem")


async def test_rights_that_are_missing_are_named_with_what_to_grant(scene: Scene, limited: str):
    source = await scene.queue()
    told = await examined(scene, source, broker={"url": limited})
    assert told.code == 1
    assert f"right to configure {scene.prefix}.*: not granted" in found(told, "rights", "problem")
    advice = [each["advice"] for each in json.loads(told.out)["findings"] if each["about"] == "rights"]
    assert any("set_permissions" in each and "topology: verify" in each for each in advice)
    assert "not visible" in found(told, "sources", "ok")
    closed = await scene.queue("closed")
    closed_told = await examined(scene, [{"name": "main", "queue": closed}], broker={"url": limited})
    assert "no permission to read" in found(closed_told, "sources", "problem")
    assert ":secret@" not in told.out


async def test_a_broken_contract_and_a_foreign_consumer_are_told(scene: Scene, amqp_url: str):
    source = await scene.queue(arguments={"x-max-priority": 5})
    connection = await aio_pika.connect(amqp_url)
    channel = await connection.channel()

    async def take(_: object) -> None:
        """Somebody else's consumer."""

    await (await channel.get_queue(source)).consume(take)
    told = await examined(scene, source)
    await connection.close()
    assert told.code == 0
    assert "x-max-priority" in found(told, "sources", "warning")
    assert "no bridge answers here" in found(told, "sources", "warning")


async def test_an_object_of_ours_that_is_another_is_a_problem(scene: Scene):
    source = await scene.queue()
    await scene.queues.declare(f"{scene.prefix}.dead")
    told = await examined(scene, source)
    assert told.code == 1
    assert f"queue {scene.prefix}.dead: its declaration differs from the bridge's" in found(
        told, "objects", "problem"
    )
    verified = await examined(
        scene, await scene.queue("missing", declare=False), broker={"topology": "verify"}
    )
    assert "missing;" in found(verified, "objects", "problem")
    assert "the queue does not exist" in found(verified, "sources", "problem")


async def test_an_address_that_does_not_answer_is_a_warning_while_another_does(
    scene: Scene, unused_tcp_port: int
):
    source = await scene.queue()
    dead = f"amqp://u:hunter2@127.0.0.1:{unused_tcp_port}/"
    told = await examined(scene, source, broker={"url": [dead, scene.amqp_url]})
    assert told.code == 0, told.out
    assert "other addresses are" in found(told, "broker", "warning")
    alone = await examined(scene, source, broker={"url": [dead]})
    assert alone.code == 1
    assert "it is not usable" in found(alone, "broker", "problem")
    assert "hunter2" not in told.out + alone.out


async def test_what_check_finds_is_a_problem_and_the_rest_is_looked_at_all_the_same(scene: Scene):
    hooks = [{"name": "gone", "target": {"type": "script", "command": ["/nowhere/at-all"]}}]
    told = await examined(scene, await scene.queue(), hooks)
    assert told.code == 1
    assert "/nowhere/at-all" in found(told, "configuration", "problem")
    assert "it exists as publishers" in found(told, "sources", "ok")


@pytest.mark.parametrize("state", ["newer", "no database", "no folder"])
async def test_a_database_that_cannot_be_used_is_a_problem(scene: Scene, state: str):
    path = scene.folder / "history.db"
    if state == "newer":
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES ('9999')")
            for table in ("events", "deliveries", "attempts"):
                database.execute(f"CREATE TABLE {table} (id TEXT)")
        database.close()
    elif state == "no database":
        path.write_bytes(b"this is no database at all, but a text")
    else:
        path = Path(scene.folder / "nowhere" / "history.db")
    told = await examined(scene, await scene.queue(), storage={"url": f"sqlite:///{path}"})
    assert told.code == 1
    said = {"newer": "newer version", "no database": "not a database", "no folder": "does not exist"}[state]
    assert said in found(told, "database", "problem")
    checked = await asyncio.to_thread(amqp_bridge, "check", cwd=scene.folder)
    assert checked.code == 2
    assert said in checked.err


async def test_a_table_named_hooks_of_another_program_or_version_is_not_read(scene: Scene):
    path = scene.folder / "history.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE hooks (id TEXT)")
    database.close()
    queue = await scene.queue()
    told = await examined(scene, queue, storage={"url": f"sqlite:///{path}"})
    assert "did not make its tables hooks" in found(told, "database", "problem")
    assert "no such column" not in told.out

    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('0001')")
        for table in ("events", "deliveries", "attempts"):
            database.execute(f"CREATE TABLE {table} (id TEXT)")
    database.close()
    told = await examined(scene, queue, storage={"url": f"sqlite:///{path}"})
    assert not found(told, "database", "problem"), told.out


async def test_postgresql_is_looked_at_without_making_tables(scene: Scene, postgres_url: str):
    told = await examined(scene, await scene.queue(), storage={"url": postgres_url})
    assert told.code == 0, told.out
    assert "reachable (PostgreSQL" in found(told, "database", "ok")
    assert "none yet" in found(told, "database", "ok")
    wrong = await examined(
        scene, await scene.queue(), storage={"url": "postgresql://u:hunter2@127.0.0.1:1/none"}
    )
    assert wrong.code == 1
    assert "hunter2" not in wrong.out


async def test_a_history_of_another_bridge_or_program_is_told_by_doctor_and_check(scene: Scene):
    hooks, queue = [scene.webhook("crm")], await scene.queue()
    async with scene.bridge(hooks, queue):
        pass
    told = await examined(scene, queue, hooks)
    assert f"`{scene.prefix} on " in found(told, "database", "ok")
    told = await examined(scene, queue, hooks, broker={"prefix": "another"})
    said = found(told, "database", "problem")
    assert f"belongs to `{scene.prefix} on " in said
    assert "and this bridge is `another on " in said
    checked = await asyncio.to_thread(amqp_bridge, "check", cwd=scene.folder)
    assert checked.code == 2
    assert f"storage.url: this history belongs to `{scene.prefix} on " in checked.err

    with sqlite3.connect(scene.folder / "other.db") as database:
        database.execute("CREATE TABLE customers (id INTEGER)")
    database.close()
    told = await examined(scene, queue, hooks, storage={"url": f"sqlite:///{scene.folder / 'other.db'}"})
    assert "another program's: amqp-bridge did not make its tables customers" in found(
        told, "database", "problem"
    )
    checked = await asyncio.to_thread(amqp_bridge, "check", cwd=scene.folder)
    assert "another program's" in checked.err


async def test_people_get_one_line_for_each_finding_and_a_count(scene: Scene):
    await examined(scene, await scene.queue())
    told = await asyncio.to_thread(amqp_bridge, "doctor", "-q", cwd=scene.folder)
    assert told.code == 0
    assert told.out.splitlines()[-1].endswith("0 problems")
    assert not any(line.startswith("ok ") for line in told.out.splitlines())
