"""A history of the version before goes on under this one, which is killed in the middle of its first work."""

import re
from contextlib import closing
from functools import partial
from pathlib import Path
from sqlite3 import connect

from tests.support.operating import HTTP, operating
from tests.support.records import new_id
from tests.support.scene import Scene
from tests.support.waiting import until

MADE_BY = Path(__file__).parents[1] / "data" / "history" / "sqlite.sql"
BEFORE = 7
EVENTS = 600


def make(file: Path, revisions: int, deliveries: list[tuple[str, str]]) -> None:
    """Make the tables as the first revisions did, with deliveries of (event, status)."""
    steps = re.split(r"^-- \d{4}\n", MADE_BY.read_text(), flags=re.MULTILINE)[1:]
    with closing(connect(file)) as database, database:
        for step in steps[:revisions]:
            database.executescript(step)
        for event, status in deliveries:
            database.execute(
                "INSERT INTO events (id, source, type, format, webhook_id, received_at, exchange, routing_key, body) "
                "VALUES (?, 'main', 'a.b', 'json', 'w', 1, '', '', x'7b7d')",
                (event,),
            )
            database.execute(
                "INSERT INTO deliveries (id, event_id, hook, target, status, reason, generation, attempts, created_at, "
                "updated_at) VALUES (?, ?, 'crm', 'webhook', ?, '', 1, 1, 1, 1)",
                (new_id(), event, status),
            )


def arrived(scene: Scene, wanted: int) -> bool:
    return len(scene.endpoint.bodies("/crm")) >= wanted


async def test_a_history_of_the_version_before_goes_on_though_the_process_is_killed_in_mid_stream(
    scene: Scene,
):
    delivered, failed = new_id(), new_id()
    make(scene.folder / "bridge.db", BEFORE, [(delivered, "SUCCESS"), (failed, "FAILED")])
    source = await scene.queue()
    bodies = {b'{"n":%d}' % number for number in range(EVENTS)}
    await scene.queues.publish(source, sorted(bodies))

    async with scene.prepared([scene.webhook("crm")], source, http=HTTP) as bridge:
        for wanted in (20, 200):
            await bridge.launch()
            await until(partial(arrived, scene, wanted), 30, what=bridge.last_words)
            await bridge.kill()
        await bridge.start()
        await until(lambda: bodies <= bridge.history.delivered_bodies("crm"), 40, what=bridge.last_words)
        async with operating(bridge) as operator:
            page = await operator.get("/deliveries?hook=crm&status=FAILED")
        await bridge.stop()
    assert set(scene.endpoint.bodies("/crm")) >= bodies
    assert [each["event_id"] for each in page["items"]] == [failed]
    assert bridge.history.statuses("crm")["SUCCESS"] == EVENTS + 1
