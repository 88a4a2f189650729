"""The pages of hooks, as HTML."""

import html
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.core.delivery import Answer, Delivery, Fault, Record, Status
from tests.support.records import a_delivery, an_attempt, an_event, delivered, waiting
from tests.support.ui import Browser, Shown, browsing

EVIL = "<img src=x onerror=alert(1)>\u202e{{7*7}}"
SHOP = {
    "name": "shop",
    "description": EVIL,
    "events": ["orders.*"],
    "target": {"type": "webhook", "url": "https://shop.test/in"},
}


def failed(at: float) -> Record:
    attempt = an_attempt(1, at=at, outcome="status", code=503, error="503 upstream")
    return Record(a_delivery(an_event(at)), "webhook", Status.FAILED, "status", at, attempt)


@asynccontextmanager
async def operating(history: Any, *entries: Any, **hook: Any) -> AsyncIterator[tuple[Browser, str]]:
    """A browser that is logged in, and the id of a hook that was made through the API."""
    async with browsing(history, *entries) as browser:
        await browser.login()
        made = await browser.api.client.send("POST", "/hooks", {**SHOP, **hook})
        assert made.status == 201, made.body
        yield browser, made.body["id"]


def etag(page: Shown) -> str:
    """The version of the hook that a form is about."""
    found = re.search(r'name="etag" value="([^"]+)"', page.text)
    assert found
    return html.unescape(found[1])


async def hook_of(browser: Browser, which: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = await browser.api.client.get(f"/hooks/{which}")
    return found


async def test_the_list_shows_what_its_filters_ask_for(history):
    now = time.time()
    async with operating(history, failed(now - 90), delivered(a_delivery(an_event(now - 80)))) as (
        browser,
        which,
    ):
        page = await browser.get("hooks")
        assert f'href="/ui/hooks/{which}"' in page.text
        assert "https://shop.test/in" in page.text
        assert "50.0 %" in page.text
        page = await browser.get("hooks?managed_by=file")
        assert which not in page.text
        assert 'href="/ui/hooks/crm"' in page.text
        assert "amqp-bridge hooks list --managed-by file" in page.text
        assert (await browser.get("hooks.csv?managed_by=file")).text.startswith("id,name,")
        assert "No hook matches" in (await browser.get("hooks?q=nothing")).text


async def test_an_empty_list_says_how_to_make_a_hook(history):
    async with browsing(history, hooks=()) as browser:
        await browser.login()
        assert "No hooks yet" in (await browser.get("hooks")).text


async def test_several_hooks_are_paused_and_resumed_at_once(history):
    async with operating(history) as (browser, which):
        page = await browser.get("hooks?state=active")
        assert 'name="return" value="hooks?state=active"' in page.text
        form = {"csrf": page.csrf, "hook": which, "return": "hooks?state=active"}
        done = await browser.post("hooks/switch", do="pause", reason="maintenance", **form)
        assert (done.status, done.headers["Location"]) == (303, "/ui/hooks?state=active")
        assert (await hook_of(browser, which))["state"]["reason"] == "maintenance"
        del form["hook"]
        both = [which, "gone"]
        await browser.post("hooks/switch", do="resume", hook=both, **form)
        assert "1 resumed. 1 refused:" in (await browser.get("hooks")).text
        assert (await browser.post("hooks/switch", do="resume", hook="gone", **form)).status == 404
        assert (await hook_of(browser, which))["paused"] is False


async def test_health_shows_figures_chart_and_retry_plan(history):
    now = time.time()
    async with browsing(history, failed(now - 90), delivered(a_delivery(an_event(now - 80)))) as browser:
        await browser.login()
        page = await browser.get("hooks/crm?span=60m")
        assert "50.0 %" in page.text
        assert "1 delivered, 1 failed" in page.text
        assert "10 attempts" in page.text
        assert "+30 min" in page.text
        assert "amqp-bridge hooks show crm" in page.text
        bar = re.search(r'<td><a href="/ui/(deliveries[^"]+)">', page.text)
        assert bar
        assert "503 upstream" in (await browser.get(bar[1].replace("&amp;", "&"))).text


@pytest.mark.parametrize(
    ("retry", "told"),
    [({"preset": "none"}, "1 attempt<"), ({"schedule": ["5s"], "max_attempts": 40}, "and 28 more")],
)
async def test_short_and_long_retry_plans_are_drawn(history, retry, told):
    async with operating(history, retry=retry) as (browser, which):
        assert told in (await browser.get(f"hooks/{which}")).text


async def test_nothing_in_a_hook_becomes_markup(history):
    async with operating(history) as (browser, which):
        await browser.api.client.send("POST", f"/hooks/{which}/pause", {"reason": EVIL})
        for path in (which, f"{which}/deliveries", f"{which}/delete"):
            page = await browser.get(f"hooks/{path}")
            assert page.status == 200
            assert "<img" not in page.text
            assert page.text.count("&lt;img src=x onerror=alert(1)&gt;\\u202e{{7*7}}") >= 2


async def test_a_hook_is_paused_with_a_reason_and_resumed(history):
    async with operating(history) as (browser, which):
        page = await browser.get(f"hooks/{which}")
        done = await browser.post(f"hooks/{which}/pause", csrf=page.csrf, reason="maintenance until 6")
        assert (done.status, done.headers["Location"]) == (303, f"/ui/hooks/{which}")
        page = await browser.get(f"hooks/{which}")
        assert "maintenance until 6" in page.text
        assert f"hooks/{which}/resume" in page.text
        await browser.post(f"hooks/{which}/resume", csrf=page.csrf)
        assert "Pause…" in (await browser.get(f"hooks/{which}")).text


async def test_a_disabled_hook_goes_live_and_off_again(history):
    async with operating(history, enabled=False) as (browser, which):
        page = await browser.get(f"hooks/{which}")
        assert "Go live" in page.text
        await browser.post(f"hooks/{which}/enable", csrf=page.csrf)
        assert (await hook_of(browser, which))["enabled"] is True
        await browser.post(f"hooks/{which}/disable", csrf=page.csrf)
        assert (await hook_of(browser, which))["enabled"] is False


async def test_its_deliveries_are_those_of_the_hook_alone_and_open_in_the_panel(history):
    own, other = delivered(), delivered(a_delivery(hook="other"))
    async with browsing(history, own, other) as browser:
        await browser.login()
        page = await browser.get("hooks/crm/deliveries?status=SUCCESS")
        assert own.delivery.id in page.text
        assert other.delivery.id not in page.text
        path = f"hooks/crm/deliveries?panel={own.delivery.id}"
        assert "<article" in (await browser.get(path)).text
        part = await browser.get(path, **{"HX-Request-Type": "partial"})
        assert "<nav" not in part.text


async def test_deleting_tells_what_waits_and_takes_no_hook_that_was_changed_meanwhile(history):
    async with operating(history) as (browser, which):
        kept = [waiting(a_delivery(hook=which)) for _ in range(3)]
        assert await history.commit(kept) == []
        page = await browser.get(f"hooks/{which}/delete")
        assert "3 deliveries wait for it." in page.text
        assert "Delete shop" in page.text
        await browser.api.client.send("PATCH", f"/hooks/{which}", {"concurrency": 2})
        form = {"csrf": page.csrf, "lane": "drop"}
        refused = await browser.post(f"hooks/{which}/delete", etag=etag(page), **form)
        assert refused.status == 412
        page = await browser.get(f"hooks/{which}/delete")
        done = await browser.post(f"hooks/{which}/delete", etag=etag(page), **form)
        assert (done.status, done.headers["Location"]) == (303, "/ui/hooks")
        assert f'href="/ui/hooks/{which}"' not in (await browser.get("hooks?state=active")).text


class Receiver:
    """A target that keeps what it is sent."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.sent: list[Delivery] = []

    async def attempt(self, delivery: Delivery) -> Answer:
        self.sent.append(delivery)
        return self.answer


async def test_a_test_shows_what_the_receiver_answered(history):
    async with operating(history) as (browser, which):
        receiver: Any = Receiver(Answer(Fault.STATUS, 503, response=EVIL.encode()))
        browser.api.runner(which).target = receiver
        page = await browser.get(f"hooks/{which}")
        shown = await browser.post(f"hooks/{which}/test", csrf=page.csrf)
        assert shown.status == 200
        assert "503" in shown.text
        assert "&lt;img" in shown.text
        assert "<img" not in shown.text
        data = '{"total": 7}'
        await browser.post(f"hooks/{which}/test", csrf=page.csrf, type="orders.created", data=data)
        assert [each.event.type for each in receiver.sent] == ["webhook.test", "orders.created"]


async def test_a_test_with_a_fault_is_told_at_its_field(history):
    async with operating(history) as (browser, which):
        page = await browser.get(f"hooks/{which}/test")
        for field, form in (("data", {"data": "{"}), ("type", {"type": "x\ny"})):
            shown = await browser.post(f"hooks/{which}/test", csrf=page.csrf, **form)
            assert shown.status == 422
            assert f'id="fault-{field}"' in shown.text


async def test_a_new_secret_is_shown_once_and_the_former_ends_when_told(history):
    async with operating(history) as (browser, which):
        page = await browser.get(f"hooks/{which}/secrets")
        assert "There is none" in page.text
        for _ in range(2):
            page = await browser.get(f"hooks/{which}/secrets")
            shown = await browser.post(f"hooks/{which}/secrets", csrf=page.csrf, keep="24h", etag=etag(page))
            assert (shown.status, shown.headers["Cache-Control"]) == (200, "no-store")
            secret = re.search(r'<pre id="secret"[^>]*>([^<]+)<', shown.text)
            assert secret
            page = await browser.get(f"hooks/{which}/secrets")
            assert secret[1] not in page.text
            assert f"…{secret[1][-4:]}" in page.text
        assert "End the former now" in page.text
        await browser.post(f"hooks/{which}/secrets/end", csrf=page.csrf, etag=etag(page))
        page = await browser.get(f"hooks/{which}/secrets")
        assert "End the former now" not in page.text
        assert page.text.count("it is replaced") == 1


async def test_every_page_is_translated_and_every_hook_page_has_the_command(history):
    async with operating(history) as (browser, which):
        browser.cookies["language"] = "x-pseudo"
        for tab in ("", "/deliveries", "/edit", "/secrets", "/history", "/test", "/delete"):
            page = await browser.get(f"hooks/{which}{tab}")
            assert page.status == 200, tab
            assert "amqp-bridge " in page.text, tab
            for word in (">Health<", ">Pause", ">Save<", ">Rotate<", "Retry plan"):
                assert word not in page.text, (tab, word)


async def test_an_unfit_secret_is_told_at_its_field_and_not_shown(history):
    async with operating(history) as (browser, which):
        page = await browser.get(f"hooks/{which}/secrets")
        refused = await browser.post(f"hooks/{which}/secrets", csrf=page.csrf, secret="${HOME}-x")
        assert refused.status == 422
        assert 'id="fault-secret"' in refused.text
        assert (await hook_of(browser, which))["signing"]["secrets"] == []


async def test_the_history_tells_who_changed_what_and_an_old_version_is_put_back(history):
    async with operating(history, filter="event.data.total > 1") as (browser, which):
        changed = {"filter": "event.data.total > 2", "events": ["orders.*", "refunds.*"]}
        done = await browser.api.client.send("PATCH", f"/hooks/{which}", changed)
        assert done.status == 200, done.body
        page = await browser.get(f"hooks/{which}/history")
        assert page.text.count("<del>") >= 1
        assert "event.data.total &gt; 1" in page.text
        assert "refunds.*" in page.text
        assert "admin" in page.text
        version = re.search(r'name="version" value="(\d+)"', page.text)
        assert version
        back = await browser.post(
            f"hooks/{which}/restore", csrf=page.csrf, version=version[1], etag=etag(page)
        )
        assert (back.status, back.headers["Location"]) == (303, f"/ui/hooks/{which}/history")
        assert (await hook_of(browser, which))["filter"] == "event.data.total > 1"


async def test_a_viewer_sees_no_control_and_is_refused_the_forms(history):
    async with operating(history) as (browser, which):
        made = await browser.api.client.send("POST", "/tokens", {"name": "vera", "role": "viewer"})
        await browser.login(made.body["token"])
        for path in ("hooks", f"hooks/{which}"):
            page = await browser.get(path)
            for word in ("Pause", "Disable", "Delete", "New hook", "Send test", 'type="checkbox"'):
                assert word not in page.text, (path, word)
        for verb in ("pause", "disable", "delete"):
            refused = await browser.post(f"hooks/{which}/{verb}", csrf=page.csrf)
            assert refused.status == 403
