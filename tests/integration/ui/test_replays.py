"""The pages of replays: count, start, progress, cancel; and of sources."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.core.hook import Hook
from bridge.core.records import ReplayStatus
from bridge.formats.parse import BOUNDS
from bridge.history.history import SqlHistory
from bridge.hooks.names import KnownNames
from bridge.hooks.store import Sealer, SqlHooks
from bridge.pipeline.hook_table import HookTable
from bridge.replays.api import ReplayRoutes
from bridge.replays.service import ReplayService
from bridge.replays.store import SqlReplays
from bridge.routing.table import RoutingTable
from bridge.ui.words import parsed_time
from tests.support.api_server import NoReplicas, runner_of
from tests.support.chromium import open_page
from tests.support.hooks_on_table import HooksOnTable
from tests.support.records import new_id
from tests.support.replays import a_replay, added, failures
from tests.support.ui import CRM, Browser, browsing, log_in


@asynccontextmanager
async def replaying(history: SqlHistory, *entries: Any) -> AsyncIterator[Browser]:
    hooks = [Hook.model_validate(CRM)]
    table = HookTable(lambda _event, _filters: None)
    table.swap(RoutingTable(hooks), {hook.id: runner_of(hook) for hook in hooks})
    store = SqlHooks(history.engine, Sealer(["a key for tests, long enough"]))
    names = KnownNames(HooksOnTable(table, store, history, hooks, runner_of), [], history)
    service = ReplayService(
        SqlReplays(history.engine),
        table,
        names,
        NoReplicas(),
        new_id=lambda: new_id(time.time()),
        bounds=BOUNDS,
        keeps_successes=True,
    )
    async with browsing(history, *entries, more=[ReplayRoutes(service, lambda hook: hook)]) as browser:
        await browser.login()
        yield browser


async def test_a_replay_is_counted_and_starts_with_just_that_filter(history):
    async with replaying(history, *failures(3)) as browser:
        page = await browser.get("replays/new?hook=crm&status=FAILED&from=2020-01-01&rate=50/s&count=1")
        assert "3 deliveries are started anew" in page.text
        form = page.text[
            page.text.index('id="start"') : page.text.index("</form>", page.text.index('id="start"'))
        ]
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
        assert fields["from"] == "2020-01-01T00:00:00.000Z"
        assert fields["to"].endswith("Z")
        started = await browser.post("replays", **fields)
        assert started.status == 303
        [replay] = (await browser.api.client.get("/replays"))["items"]
        assert started.headers["Location"] == f"/ui/replays/{replay['id']}"
        assert (replay["total"], replay["rate"], replay["filter"]["hook"]) == (3, 50.0, "crm")
        for name in ("from", "to"):
            assert parsed_time(replay["filter"][name]) == parsed_time(fields[name])


async def test_a_filter_that_is_wrong_is_told_at_its_field(history):
    async with replaying(history) as browser:
        page = await browser.get("replays/new?hook=nope&from=soon&count=1")
        assert page.status == 200
        assert 'id="fault-from"' in page.text


async def test_a_replay_shows_its_progress_and_may_be_cancelled(history):
    replay = await added(SqlReplays(history.engine), a_replay(total=4, done=1, status=ReplayStatus.RUNNING))
    async with replaying(history) as browser:
        page = await browser.get(f"replays/{replay.id}")
        assert "1 of 4 started" in page.text
        assert f"replay={replay.id}" in page.text
        assert replay.id in (await browser.get("replays")).text
        gone = await browser.post(f"replays/{replay.id}/cancel", csrf=page.csrf)
        assert gone.headers["Location"] == f"/ui/replays/{replay.id}"
        assert "cancelled" in (await browser.get(f"replays/{replay.id}")).text


async def test_no_replays_say_how_to_make_one(history):
    async with replaying(history) as browser:
        assert "amqp-bridge replay --hook" in (await browser.get("replays")).text


async def test_what_failed_is_replayed_in_the_browser(history):
    async with (
        replaying(history, *failures(2)) as browser,
        open_page(f"{browser.url}/ui/replays/new?hook=crm&status=FAILED") as seen,
    ):
        await log_in(seen)
        await seen.assert_clean()
        await seen.page.click("#start button")
        await seen.page.wait_for_selector("progress")
        await seen.assert_clean()
        assert len((await browser.api.client.get("/replays"))["items"]) == 1


@pytest.mark.parametrize("counts", [{"hooks2": (7, 1)}, None])
async def test_sources_are_shown_with_and_without_a_broker(history, counts):
    async with browsing(history) as browser:
        await browser.login()
        browser.api.sources.counts = counts
        page = (await browser.get("sources")).text
        assert "splynx" in page
        assert "3 / 500" in page
        assert ("The broker does not answer." in page) is (counts is None)
