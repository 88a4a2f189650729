"""`amqp-bridge topology`: everything on the broker is compared, created and removed; what waits is not lost."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from devtools.rabbitmq import NodeControl
from tests.support.command import Ended, amqp_bridge
from tests.support.endpoint import OK, status
from tests.support.scene import Scene
from tests.support.waiting import until


def configured(scene: Scene, source: str, **sections: Any) -> Path:
    file = scene.folder / "topology.yaml"
    file.write_text(yaml.safe_dump(scene.settings([scene.webhook("crm")], source, **sections)))
    return file


async def topology(scene: Scene, verb: str, file: Path, *more: str) -> Ended:
    words = ("topology", verb, "-c", str(file), *more)
    return await asyncio.to_thread(amqp_bridge, *words, cwd=scene.folder)


async def states(scene: Scene, file: Path, *more: str) -> tuple[int, dict[str, str]]:
    """The exit code of `show`, and the state of each object by its kind and name."""
    told = await topology(scene, "show", file, "--json", *more)
    found = json.loads(told.out)["objects"]
    return told.code, {f"{each['kind']} {each['name']}": each["state"] for each in found}


async def test_what_is_missing_is_shown_created_and_removed_again(scene: Scene):
    source = await scene.queue(declare=False)
    file = configured(scene, source)
    code, before = await states(scene, file, "--hook", "hk_1")
    assert (code, set(before.values())) == (1, {"missing"})
    named = (scene.lane("crm"), scene.lane("hk_1"), f"{scene.prefix}.orphans", source)
    assert {f"queue {name}" for name in named} <= set(before)

    applied = await topology(scene, "apply", file, "--hook", "hk_1")
    assert applied.code == 0, applied.err
    assert applied.out.splitlines()[-1] == f"{len(before)} ok, 0 missing, 0 differ"
    assert await states(scene, file, "--hook", "hk_1") == (0, dict.fromkeys(before, "right"))

    removed = await topology(scene, "remove", file, "--hook", "hk_1", "--yes")
    assert removed.code == 0, removed.err
    code, after = await states(scene, file, "--hook", "hk_1")
    assert code == 1
    assert {name for name, state in after.items() if state == "right"} == {f"queue {source}"}


async def test_nothing_is_removed_while_a_bridge_runs_or_messages_wait(scene: Scene):
    source = await scene.queue()
    file = configured(scene, source)
    scene.endpoint.script("/crm", status(503), OK)
    hook = scene.webhook("crm", retry={"schedule": ["1h"]})
    async with scene.bridge([hook], source) as bridge:
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: bridge.history.statuses("crm") == {"RETRYING": 1}, 25, what=bridge.last_words)
        used = await topology(scene, "remove", file, "--yes")
    assert used.code == 1
    assert used.err.startswith("error: a bridge consumes these queues: stop it first")

    waiting = await topology(scene, "remove", file, "--yes")
    assert waiting.code == 1
    assert f"{scene.prefix}.delay." in waiting.err
    assert "1 message" in waiting.err
    code, _ = await states(scene, file)
    assert code == 0

    gone = await topology(scene, "remove", file, "--yes", "--discard")
    assert (gone.code, (await states(scene, file))[0]) == (0, 1)


async def test_an_object_that_differs_is_told_and_left_as_it_is(scene: Scene):
    source = await scene.queue()
    file = configured(scene, source)
    orphans = f"{scene.prefix}.orphans"
    await scene.queues.declare(orphans, {"x-max-length": 7})
    scene.made.append(orphans)

    applied = await topology(scene, "apply", file)
    assert applied.code == 1
    assert "! differs queue" in applied.out
    assert (await states(scene, file))[1][f"queue {orphans}"] == "other"


async def test_a_source_is_never_compared_with_what_the_bridge_would_declare(scene: Scene):
    source = await scene.queue(arguments={"x-max-priority": 3})
    file = configured(scene, source)
    assert (await topology(scene, "apply", file)).code == 0


async def test_imported_definitions_are_all_that_a_bridge_without_the_right_to_configure_needs(
    scene: Scene, broker_control: NodeControl
):
    source = await scene.queue()
    printed = await topology(scene, "show", configured(scene, source), "--as", "definitions")
    file = scene.folder / "definitions.json"
    file.write_text(printed.out)
    file.chmod(0o644)
    scene.folder.chmod(0o755)
    broker_control.rabbitmqctl("import_definitions", str(file))

    assert (await states(scene, scene.folder / "topology.yaml"))[0] == 0
    scene.endpoint.script("/crm", status(500), OK)
    hook = scene.webhook("crm", retry={"schedule": ["0s"], "jitter": 0})
    async with scene.bridge([hook], source, broker={"topology": "verify"}) as bridge:
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, 25, what=bridge.last_words)


async def test_the_operators_manifests_name_the_same_objects(scene: Scene):
    source = await scene.queue()
    file = configured(scene, source)
    printed = await topology(scene, "show", file, "--as", "operator", "--cluster", "rabbit")
    asked = await topology(scene, "show", file, "--as", "definitions")
    resources = list(yaml.safe_load_all(printed.out))
    definitions = json.loads(asked.out)

    assert {each["spec"]["rabbitmqClusterReference"]["name"] for each in resources} == {"rabbit"}
    named = {(each["kind"], each["spec"].get("name")) for each in resources if each["kind"] != "Binding"}
    assert named == {
        *(("Exchange", each["name"]) for each in definitions["exchanges"]),
        *(("Queue", each["name"]) for each in definitions["queues"]),
    }
    bound = {
        (each["spec"]["source"], each["spec"]["destination"], each["spec"].get("routingKey", ""))
        for each in resources
        if each["kind"] == "Binding"
    }
    assert bound == {
        (each["source"], each["destination"], each["routing_key"]) for each in definitions["bindings"]
    }
    names = [(each["kind"], each["metadata"]["name"]) for each in resources]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("form", ["", "terraform"])
async def test_an_unknown_form_is_refused_with_the_known_ones(scene: Scene, form: str):
    told = await topology(scene, "show", configured(scene, "q"), "--as", form)
    assert (told.code, told.err.count("plan, definitions, operator")) == (2, 1)


async def test_a_broker_that_is_away_is_told_by_its_address(scene: Scene):
    file = configured(scene, "q", broker={"url": "amqp://guest:secret@127.0.0.1:1/"})
    told = await topology(scene, "show", file)
    assert told.code == 1
    assert "127.0.0.1:1" in told.err
    assert "secret" not in told.err
