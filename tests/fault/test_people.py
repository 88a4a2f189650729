"""People act at random through two replicas, one of which is killed meanwhile: each event has one fate for each hook."""

import asyncio
import logging
import os
import secrets
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.fault.schedule.stage import CONCURRENCY, Stage, open_stage
from tests.support.endpoint import Endpoint, open_endpoint
from tests.support.ledger import balance
from tests.support.measured import measured
from tests.support.two_replicas import TOKEN, Asked
from tests.support.waiting import until

SEED = 11 if "CI" in os.environ else secrets.randbelow(1_000_000)
EVENTS = 240
PER_SECOND = 40
PEOPLE = 6
KILLED_AT = (60, 120)
"""How many events are confirmed when a replica dies, and when it is started again."""

pytestmark = pytest.mark.timeout(150)


class People:
    """Whatever the API offers, at random, through one replica or the other."""

    def __init__(self, stage: Stage, chance: Random, extras: Endpoint) -> None:
        self._stage = stage
        self._chance = chance
        self._extras = extras
        self._made: list[str] = []
        self.answers: Counter[tuple[str, int]] = Counter()

    async def act_until(self, *ended: asyncio.Task[None]) -> None:
        """Again and again until all of these have ended; who meets a replica that is dead goes to the other."""
        deeds = [
            self.switch,
            self.switch,
            self.restart,
            self.restart,
            self.cancel,
            self.replay,
            self.make,
            self.delete,
        ]
        while not all(task.done() for task in ended):
            await self._chance.choice(deeds)()

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """What the first of the replicas that answers says, which is never that it has a bug."""
        for bridge in self._chance.sample(self._stage.bridges, len(self._stage.bridges)):
            try:
                code, said = await Asked(bridge).ask(method, path, body)
            except (aiohttp.ClientError, TimeoutError):
                continue
            self.answers[f"{method} {path.rpartition('/')[2] if method == 'POST' else ''}", code] += 1
            assert code < 500 or code == 503, (method, path, code, said)
            return code, said
        raise AssertionError("neither replica answers")

    async def switch(self) -> None:
        """Pause a hook, or have it go on."""
        await self.ask("POST", f"/hooks/{self._hook()}/{self._chance.choice(['pause', 'resume'])}")

    async def restart(self) -> None:
        """Have a delivery attempted anew, whatever became of it."""
        if (delivery := await self._delivery()) is not None:
            await self.ask("POST", f"/deliveries/{delivery}/retry")

    async def cancel(self) -> None:
        """Give a delivery up, if it still waits."""
        if (delivery := await self._delivery()) is not None:
            await self.ask("POST", f"/deliveries/{delivery}/cancel")

    async def replay(self) -> None:
        """Have what failed of a hook delivered anew."""
        chosen = {"hook": self._hook(), "status": ["FAILED"]}
        await self.ask("POST", "/replays", {"filter": chosen, "rate": 50})

    async def make(self) -> None:
        """One more hook."""
        name = f"extra-{len(self.answers)}-{self._chance.randrange(10**6)}"
        target = {"type": "webhook", "url": self._extras.url("/extra"), "profile": "none"}
        code, said = await self.ask("POST", "/hooks", {"name": name, "target": target})
        if code == 201:
            self._made.append(said["id"])

    async def delete(self) -> None:
        """One hook that was made."""
        if self._made:
            await self.ask("DELETE", f"/hooks/{self._made.pop(self._chance.randrange(len(self._made)))}")

    async def leave(self) -> None:
        """Nothing is paused any more, and no hook is left that was made."""
        while self._made:
            await self.delete()
        for hook in self._stage.hooks:
            await self.ask("POST", f"/hooks/{hook}/resume")

    def _hook(self) -> str:
        return self._chance.choice([*self._stage.hooks, *self._made])

    async def _delivery(self) -> str | None:
        rows = await self._stage.rows("SELECT id FROM deliveries ORDER BY id DESC LIMIT 200")
        return str(self._chance.choice(rows)[0]) if rows else None


async def test_whatever_people_do_through_two_replicas_every_event_has_one_fate_for_each_hook(
    node: RabbitMQNode, postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.CRITICAL + 1, logger="aiormq")
    chance = Random(SEED)
    async with (
        open_endpoint() as extras,
        open_stage([node], tmp_path, seed=SEED, hooks=2, database_url=postgres_url, replicas=2) as stage,
    ):
        for bridge in stage.bridges:
            bridge.write(http=bridge.settings["http"] | {"admin_token": TOKEN})
            await bridge.start()
        people = People(stage, chance, extras)
        publishing = asyncio.create_task(stage.publisher.publish(range(EVENTS), PER_SECOND))
        killing = asyncio.create_task(kill_one(stage, chance))
        async with asyncio.TaskGroup() as crowd:
            for _ in range(PEOPLE):
                crowd.create_task(people.act_until(publishing, killing))
        await asyncio.gather(publishing, killing)
        await people.leave()
        await until(lambda: at_rest(stage), 60, what=lambda: f"seed {SEED}: {stage.bridges[0].last_words()}")
        for bridge in stage.bridges:
            await bridge.stop()
        result = balance(await stage.books())
        twice = await stage.rows(
            "SELECT publisher_id, hook, count(*) FROM deliveries d JOIN events e ON e.id = d.event_id "
            "GROUP BY publisher_id, hook HAVING count(*) > 1"
        )
        await stage.tidy()
    measured(seed=SEED, twice=len(twice), answers=len(people.answers), acts=people.answers.total())
    assert result.adds_up, f"seed {SEED}: {result}"
    # Whoever was being attempted at the death may have gone on as two deliveries, with one webhook-id.
    assert len(twice) <= 2 * CONCURRENCY, f"seed {SEED}: {twice}"
    assert people.answers.total() >= 10, people.answers
    for hook in result.hooks:
        assert set(hook.events) <= {"delivered", "failed"}, f"seed {SEED}: {result}"


async def kill_one(stage: Stage, chance: Random) -> None:
    """And start it again, while the other goes on."""
    dies_at, back_at = KILLED_AT
    await until(lambda: len(stage.publisher.confirmed) >= dies_at, 30)
    bridge = chance.choice(stage.bridges)
    await bridge.kill()
    await until(lambda: len(stage.publisher.confirmed) >= back_at, 30)
    await bridge.start()


async def at_rest(stage: Stage) -> bool:
    waiting = await stage.unfinished() or any((await stage.depths()).values())
    [(begun,)] = await stage.rows("SELECT count(*) FROM outbox")
    [(running,)] = await stage.rows("SELECT count(*) FROM replays WHERE status IN ('pending', 'running')")
    return not waiting and not begun and not running
