"""The pages of the quarantine: what is there, how one message is corrected, and many at once."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bridge.core.delivery import Quarantined
from bridge.core.event import Message
from bridge.core.ports import Outgoing
from bridge.history.history import SqlHistory
from tests.support.chromium import open_page
from tests.support.records import in_quarantine
from tests.support.ui import Browser, browsing, log_in

FIXED = '{"type": "t", "call": "c",\r\n "data": {"model": "models\\\\admin\\\\Ada", "action": "create"}}'
BROKEN = Message(
    FIXED.replace("Ada", "<b>Ada").encode(), headers={"x-shop": "a", "n": 2**60}, content_encoding="gzip"
)


class Queue:
    """A broker that takes everything."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []

    async def publish(self, message: Outgoing) -> None:
        self.taken.append(message)

    async def declare(self, queue: str) -> None:
        raise AssertionError(queue)


@asynccontextmanager
async def quarantine(history: SqlHistory, *entries: object) -> AsyncIterator[tuple[Browser, Queue]]:
    queue = Queue()
    sources = [
        {"name": "shop", "queue": "orders", "format": "splynx"},
        {"name": "cloud", "queue": "cloud", "format": "cloudevents"},
    ]
    async with browsing(history, *entries, sources=sources, publisher=queue) as browser:
        await browser.login()
        yield browser, queue


def broken(**fields: Any) -> Quarantined:
    known = {"source": "shop", "reason": "undecodable", "detail": "no gzip", "message": BROKEN}
    return in_quarantine(**{**known, **fields})


async def test_the_list_counts_by_reason_and_filters_by_it(history):
    kept, other = broken(), in_quarantine(source="shop", reason="not_utf8")
    async with quarantine(history, kept, other) as (browser, _):
        page = (await browser.get("quarantine?reason=undecodable")).text
        assert kept.id in page
        assert other.id not in page
        assert "reason=not_utf8" in page
        assert "amqp-bridge quarantine list --reason undecodable" in page


async def test_an_empty_quarantine_says_so(history):
    async with quarantine(history) as (browser, _):
        assert "Nothing was refused" in (await browser.get("quarantine")).text


async def test_a_message_says_what_would_come_of_it_now(history):
    many = Message(json.dumps([{}] * 10_001).encode(), content_type="application/cloudevents-batch+json")
    kept, large = broken(), broken(source="cloud", message=many)
    async with quarantine(history, kept, large) as (browser, _):
        page = (await browser.get(f"quarantine/{kept.id}")).text
        assert "would be taken" in page
        assert "<b>Ada" not in page
        assert "the message holds 10001 events" in (await browser.get(f"quarantine/{large.id}")).text


async def test_what_is_corrected_goes_back_and_nothing_else_changes(history):
    kept = broken()
    async with quarantine(history, kept) as (browser, queue):
        form = await browser.get(f"quarantine/{kept.id}?fix=1")
        headers = json.dumps({"x-shop": "b", "n": 2**60})
        given = {"body": FIXED, "type": "orders.created", "content_type": "", "headers": headers}
        tried = await browser.post(f"quarantine/{kept.id}/fix", csrf=form.csrf, **given, **{"try": "1"})
        assert tried.status == 200
        assert "would be taken" in tried.text
        assert queue.taken == []
        sent = await browser.post(f"quarantine/{kept.id}/fix", csrf=form.csrf, **given)
        assert (sent.status, sent.headers["Location"]) == (303, "/ui/quarantine")
        [message] = queue.taken
        assert message.body == FIXED.encode()
        assert message.headers["x-shop"] == "b"
        assert message.headers["n"] == 2**60
        assert (await browser.api.client.get("/quarantine"))["items"] == []


async def test_headers_that_are_no_json_are_told_at_their_field(history):
    kept = broken()
    async with quarantine(history, kept) as (browser, queue):
        form = await browser.get(f"quarantine/{kept.id}?fix=1")
        refused = await browser.post(f"quarantine/{kept.id}/fix", csrf=form.csrf, body="{}", headers="{")
        assert refused.status == 422
        assert 'id="fault-headers"' in refused.text
        assert queue.taken == []


async def test_many_are_counted_before_they_are_dropped(history):
    kept = [broken() for _ in range(3)]
    other = in_quarantine(source="shop", reason="not_utf8")
    async with quarantine(history, *kept, other) as (browser, _):
        page = await browser.get("quarantine/bulk?do=drop&reason=undecodable")
        assert "3 messages" in page.text
        fields = {"do": "drop", "reason": "undecodable", "csrf": page.csrf}
        done = await browser.post("quarantine/bulk", **fields)
        assert done.headers["Location"] == "/ui/quarantine"
        assert [each["id"] for each in (await browser.api.client.get("/quarantine"))["items"]] == [other.id]


async def test_many_go_back_within_the_span_that_was_counted(history):
    early, late = broken(at=1_700_000_000.0), broken(at=1_760_000_000.0)
    async with quarantine(history, early, late) as (browser, queue):
        page = await browser.get("quarantine/bulk?do=requeue&to=2024-12-31")
        assert "1 message" in page.text
        fields = {"do": "requeue", "to": "2024-12-31", "csrf": page.csrf}
        done = await browser.post("quarantine/bulk", **fields)
        assert done.headers["Location"] == "/ui/quarantine"
        assert len(queue.taken) == 1


async def test_a_viewer_looks_and_changes_nothing(history):
    kept = broken()
    async with quarantine(history, kept) as (browser, _):
        made = await browser.api.client.send("POST", "/tokens", {"name": "vera", "role": "viewer"})
        await browser.login(made.body["token"])
        page = await browser.get(f"quarantine/{kept.id}?fix=1")
        assert "/drop" not in page.text
        assert "/fix" not in page.text
        assert (await browser.post(f"quarantine/{kept.id}/drop", csrf=page.csrf)).status == 403


async def test_fix_and_requeue_takes_three_clicks_in_the_browser(history):
    kept = broken()
    async with (
        quarantine(history, kept) as (browser, queue),
        open_page(f"{browser.url}/ui/quarantine") as seen,
    ):
        await log_in(seen)
        await seen.page.click(f"a.row[href*='{kept.id}']")
        await seen.page.click("text=Fix…")
        await seen.page.fill("textarea[name=body]", FIXED)
        await seen.page.click("#fix button.p")
        await seen.page.wait_for_selector("text=1 message was requeued")
        await seen.assert_clean()
        assert queue.taken[0].body == FIXED.encode()
