"""A hook that cannot be served as it is written keeps nobody else down, and what it asks for waits until it is mended."""

from pathlib import Path

import yaml
from yarl import URL

from tests.support.bridge_process import BridgeProcess
from tests.support.operating import HTTP, Operator, operating
from tests.support.proxy import open_proxy
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b'{"n":%d}' % number for number in range(40)]


async def has_all(bridge: BridgeProcess, hook: str, count: int) -> bool:
    return bridge.history.statuses(hook)["SUCCESS"] == count


async def waits(scene: Scene, hook: str, count: int) -> bool:
    return await scene.queues.depth(scene.lane(hook)) == count


async def test_each_kind_of_fault_costs_only_its_own_hook_and_nothing_is_lost_until_it_is_mended(
    scene: Scene,
):
    source = await scene.queue()
    sound = scene.webhook("sound")
    broken = {
        "address": scene.webhook("address", target_url="ftp://nowhere"),
        "variable": scene.webhook("variable", target_headers={"X-Key": "${NO_SUCH_VARIABLE}"}),
        "program": {"name": "program", "target": {"type": "script", "command": ["./later.sh"]}},
        "filter": scene.webhook("filter", filter="event.data.n <"),
    }
    async with (
        scene.bridge([*broken.values(), sound], source, http=HTTP) as bridge,
        operating(bridge) as operator,
    ):
        await scene.queues.publish(source, EVENTS)
        await until(lambda: has_all(bridge, "sound", len(EVENTS)), what=bridge.last_words)
        for hook in broken:
            await until(lambda: waits(scene, hook, len(EVENTS)), what=bridge.last_words)  # noqa: B023
            recorded = {("PENDING", "broken"): len(EVENTS)}
            await until(lambda: bridge.history.reasons(hook) == recorded, what=bridge.last_words)  # noqa: B023
        assert await scene.queues.depth(source) == 0
        await broken_ones_are_told(bridge, operator, set(broken))
        program = bridge.folder / "later.sh"
        program.write_text("#!/bin/sh\ncat >/dev/null\n")
        program.chmod(0o755)
        mended = [
            scene.webhook("address"),
            scene.webhook("variable"),
            broken["program"],
            scene.webhook("filter", filter="event.data.n < 10"),
        ]
        await bridge.reload([*mended, sound])
        for hook, count in (("address", 40), ("variable", 40), ("program", 40), ("filter", 10)):
            await until(lambda: has_all(bridge, hook, count), what=bridge.last_words)  # noqa: B023
        await until(lambda: bridge.history.reasons("filter")["SKIPPED", "not_matched"] == 30)
        await broken_ones_are_told(bridge, operator, set())
    assert sorted(scene.endpoint.bodies("/filter")) == sorted(EVENTS[:10])


async def broken_ones_are_told(bridge: BridgeProcess, operator: Operator, broken: set[str]) -> None:
    status, health = await bridge.health()
    assert (status, health["status"]) == (200, "degraded" if broken else "ok")
    assert set(health["broken_hooks"]["reasons"]) == broken
    assert {hook["name"] for hook in (await operator.get("/hooks?state=broken"))["items"]} == broken
    for hook in (await operator.get("/hooks"))["items"]:
        assert (hook["state"]["broken"] is not None) == (hook["name"] in broken)
        assert await bridge.metric("hook_broken", hook=hook["name"]) == (hook["name"] in broken)
    assert broken <= {said["hook"] for said in bridge.said("hook.broken")}


async def test_a_hook_that_was_sound_stays_as_it_was_while_the_others_change(scene: Scene):
    source = await scene.queue()
    crm = scene.webhook("crm")
    async with scene.bridge([crm], source, http=HTTP) as bridge, operating(bridge) as operator:
        await bridge.reload([crm | {"filter": "event.nonsense =="}, scene.webhook("added")])
        scene.made.append(scene.lane("added"))
        await scene.queues.publish(source, EVENTS)
        for hook in ("crm", "added"):
            await until(lambda: has_all(bridge, hook, len(EVENTS)), what=bridge.last_words)  # noqa: B023
        state = (await operator.get("/hooks/crm"))["state"]
        assert (state["served"], "filter: " in state["broken"]) == (True, True)
        assert await bridge.metric("hook_broken", hook="crm") == 1
        await bridge.reload([crm, scene.webhook("added")])
        assert await bridge.metric("hook_broken", hook="crm") == 0


async def test_with_strict_a_bad_hook_refuses_the_start_and_every_reload(scene: Scene):
    source = await scene.queue()
    crm, bad = scene.webhook("crm"), scene.webhook("bad", target_url="ftp://nowhere")
    async with scene.prepared([crm, bad], source) as bridge:
        await bridge.launch("--strict")
        assert await bridge.ended() == 2
        assert "hooks[1].target.url" in bridge.log_text
        bridge.write(hooks=[crm])
        await bridge.start("--strict")
        bridge.write(hooks=[crm | {"enabled": False}, bad])
        bridge.hang_up()
        await until(lambda: bridge.said("config.refused"), what=bridge.last_words)
        assert not bridge.said("config.reloaded")
        await bridge.stop()


async def test_links_that_are_swapped_are_followed_and_so_is_a_file_that_is_written(scene: Scene):
    source = await scene.queue()
    settings = scene.settings([scene.webhook("first")], source) | {"reload": "watch"}
    async with scene.prepared([], source) as bridge:
        swap(bridge.folder, "one", settings)
        bridge.file.unlink()
        bridge.file.symlink_to("..data/bridge.yaml")
        await bridge.start()
        scene.made += [scene.lane("second"), scene.lane("third")]
        for number, name in enumerate(("second", "third"), start=1):
            swap(bridge.folder, name, settings | {"hooks": [scene.webhook(name)]})
            await until(lambda: len(bridge.said("config.reloaded")) == number, what=bridge.last_words)  # noqa: B023
        (bridge.folder / "third" / "bridge.yaml").write_text("hooks: [")
        await until(lambda: bridge.said("config.refused"), what=bridge.last_words)
        await scene.queues.publish(source, EVENTS)
        await until(lambda: has_all(bridge, "third", len(EVENTS)), what=bridge.last_words)
        await bridge.stop()


def swap(folder: Path, name: str, settings: object) -> None:
    """As the kubelet does: a new folder, and a link to it that is put in place of the former one at once."""
    (folder / name).mkdir()
    (folder / name / "bridge.yaml").write_text(yaml.safe_dump(settings))
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").replace(folder / "..data")


async def test_the_api_reads_the_file_anew_and_tells_what_came_of_it(scene: Scene):
    source = await scene.queue()
    crm, gone = scene.webhook("crm"), scene.webhook("gone")
    async with scene.bridge([crm, gone], source, http=HTTP) as bridge, operating(bridge) as operator:
        scene.made += [scene.lane("new"), scene.lane("bad")]
        bridge.write(
            hooks=[crm | {"concurrency": 3}, scene.webhook("new"), scene.webhook("bad", target_url="x")]
        )
        answer = await operator.post("/reload")
        assert (sorted(answer["added"]), answer["removed"], answer["changed"]) == (
            ["bad", "new"],
            ["gone"],
            ["crm"],
        )
        assert list(answer["broken"]) == ["bad"]
        assert answer["needs_restart"] == []
        [entry] = (await operator.get("/audit?action=hooks.reload"))["items"]
        assert (entry["object_id"], entry["detail"]["removed"]) == ("file", ["gone"])
        bridge.file.write_text("hooks: [")
        refused = await operator.ask("POST", "/reload")
        assert refused.status == 422
        assert "no valid YAML" in refused.body["detail"]


async def test_a_start_that_waits_for_the_broker_and_a_reload_asked_for_meanwhile(scene: Scene):
    source = await scene.queue()
    url = URL(scene.amqp_url)
    assert url.port is not None
    async with open_proxy(url.port) as proxy:
        proxy.refusing = True
        crm = scene.webhook("crm")
        async with scene.prepared([crm], source, amqp_url=str(url.with_port(proxy.port))) as bridge:
            await bridge.launch("--wait", "1m")
            await until(lambda: bridge.said("start.waiting"), what=bridge.last_words)
            bridge.write(hooks=[crm, scene.webhook("later")])
            scene.made.append(scene.lane("later"))
            bridge.hang_up()
            proxy.refusing = False
            await bridge.serving()
            await until(lambda: bridge.said("config.reloaded"), what=bridge.last_words)
            await bridge.stop()
            proxy.refusing = True
            await bridge.launch("--wait", "1m")
            await until(lambda: bridge.said("start.waiting"), what=bridge.last_words)
            await bridge.stop()
