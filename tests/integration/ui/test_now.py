"""The start page."""

import re
import time

from bridge.core.delivery import Record, Status
from tests.support.records import a_delivery, an_attempt, an_event, delivered, in_quarantine
from tests.support.ui import browsing


def failed(at: float) -> Record:
    attempt = an_attempt(1, at=at, outcome="status", code=503, error="503 upstream")
    return Record(a_delivery(an_event(at)), "webhook", Status.FAILED, "status", at, attempt)


async def test_it_says_that_all_is_well(history):
    async with browsing(history) as browser:
        await browser.login()
        page = await browser.get("")
        assert "All is well" in page.text
        assert "Nothing failed" in page.text


async def test_it_tells_alarms_figures_and_what_failed_last_and_each_number_leads_to_what_it_counts(history):
    now = time.time()
    lost, kept = failed(now - 90), delivered(a_delivery(an_event(now - 90)))
    async with browsing(history, lost, kept, in_quarantine(now - 60)) as browser:
        await browser.login()
        page = await browser.get("")
        assert "In quarantine:" in page.text
        assert lost.delivery.id in page.text
        assert "1 delivered, 1 failed" in page.text
        tile = re.search(r'Failed for good</dt><dd><a href="/ui/([^"]+)">1</a>', page.text)
        assert tile
        listed = await browser.get(tile[1].replace("&amp;", "&"))
        assert lost.delivery.id in listed.text
        assert kept.delivery.id not in listed.text
        bar = re.search(r'<td><a href="/ui/(deliveries[^"]+)">', page.text)
        assert bar
        assert lost.delivery.id in (await browser.get(bar[1].replace("&amp;", "&"))).text
