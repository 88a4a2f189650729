"""The pages of deliveries, as HTML."""

import csv
import io
import re
import time

from bridge.core.delivery import Record, Status
from tests.support.records import NOW, a_delivery, an_attempt, an_event, delivered, waiting
from tests.support.ui import browsing

EVIL = "<img src=x onerror=alert(1)>\u202e{{7*7}}"


def failed(delivery, code: int = 503) -> Record:
    attempt = an_attempt(1, outcome="status", code=code, response=EVIL.encode(), error=EVIL)
    return Record(delivery, "webhook", Status.RETRYING, "status", NOW + 1, attempt, NOW + 6.5)


async def test_the_list_shows_what_its_filters_ask_for(history):
    kept, other = delivered(), failed(a_delivery())
    async with browsing(history, kept, other) as browser:
        await browser.login()
        page = await browser.get("deliveries?status=SUCCESS")
        assert kept.delivery.id in page.text
        assert other.delivery.id not in page.text
        assert "amqp-bridge deliveries list --status SUCCESS" in page.text
        assert "GET /api/v1/deliveries?status=SUCCESS" in page.text


async def test_an_invalid_filter_is_told_at_its_field(history):
    async with browsing(history, delivered()) as browser:
        await browser.login()
        page = await browser.get("deliveries?from=soon&hook=nope")
        assert page.status == 200
        assert 'id="fault-from"' in page.text
        assert "there is no hook &#39;nope&#39;" in page.text


async def test_empty_lists_say_why(history):
    async with browsing(history) as browser:
        await browser.login()
        assert "amqp-bridge publish" in (await browser.get("deliveries")).text
        assert "No delivery matches" in (await browser.get("deliveries?status=FAILED")).text


async def test_pages_follow_one_another_without_a_gap(history):
    kept = [delivered() for _ in range(60)]
    async with browsing(history, *kept) as browser:
        await browser.login()
        first = await browser.get("deliveries")
        older = re.search(r'rel="next" href="/ui/([^"]+)"', first.text)
        assert older
        second = await browser.get(older[1])
        shown = set(re.findall(r"panel=([0-9a-f-]{36})", first.text + second.text))
        assert shown == {each.delivery.id for each in kept}


async def test_a_delivery_shows_its_attempts_and_nothing_in_it_becomes_markup(history):
    event = an_event(type=EVIL.replace(" ", ""))
    other = failed(a_delivery(event))
    async with browsing(history, other) as browser:
        await browser.login()
        for path in (f"deliveries/{other.delivery.id}", f"deliveries?panel={other.delivery.id}"):
            page = await browser.get(path)
            assert page.status == 200
            assert "<img" not in page.text
            assert "&lt;img src=x onerror=alert(1)&gt;\\u202e{{7*7}}" in page.text


async def test_a_script_gets_the_panel_alone(history):
    kept = delivered()
    async with browsing(history, kept) as browser:
        await browser.login()
        part = await browser.get(f"deliveries?panel={kept.delivery.id}", **{"HX-Request-Type": "partial"})
        assert "<article" in part.text
        assert "<nav" not in part.text
        assert len(part.text) < 12_000


async def test_what_is_not_there_is_a_page_that_says_so(history):
    async with browsing(history) as browser:
        await browser.login()
        page = await browser.get("deliveries/01969f46-08a2-7281-857f-db3509783fc5")
        assert page.status == 404
        assert "Nothing is here" in page.text


async def test_a_database_that_is_down_is_told_with_when_to_try_again(history):
    async with browsing(history) as browser:
        await browser.login()
        await history.close()
        page = await browser.get("deliveries")
        assert page.status == 503
        assert page.headers["Retry-After"] == "5"
        assert "Not now" in page.text


async def test_the_look_is_a_cookie(history):
    async with browsing(history, waiting(a_delivery())) as browser:
        await browser.login()
        await browser.post("look", theme="dark", density="compact", language="x-pseudo")
        page = await browser.get("deliveries")
        assert 'data-theme="dark" data-density="compact"' in page.text
        assert 'lang="x-pseudo" dir="rtl"' in page.text
        assert "Deliveries" not in re.sub(r"<title>.*</title>", "", page.text)


async def test_a_list_is_a_csv_file_with_all_rows_that_its_filter_asks_for(history):
    kept = [delivered() for _ in range(230)]
    other = failed(a_delivery(an_event(type="=1+1")))
    async with browsing(history, *kept, other) as browser:
        await browser.login()
        assert "/ui/deliveries.csv?status=SUCCESS" in (await browser.get("deliveries?status=SUCCESS")).text
        file = await browser.get("deliveries.csv?status=SUCCESS")
        rows = list(csv.DictReader(io.StringIO(file.text)))
        assert {row["id"] for row in rows} == {each.delivery.id for each in kept}
        assert file.headers["Content-Disposition"] == 'attachment; filename="deliveries.csv"'
        [row] = csv.DictReader(io.StringIO((await browser.get("deliveries.csv?status=RETRYING")).text))
        assert row["event_type"] == "'=1+1"
        assert (await browser.get("deliveries.csv?hook=nope")).status == 422


async def test_a_few_are_cancelled_at_once_and_the_list_tells_how_many(history):
    kept, done = [waiting(a_delivery()) for _ in range(2)], delivered()
    async with browsing(history, *kept, done) as browser:
        await browser.login()
        page = await browser.get("deliveries?hook=crm")
        ids = [each.delivery.id for each in (*kept, done)]
        sent = await browser.post("deliveries/cancel", csrf=page.csrf, back="deliveries?hook=crm", id=ids)
        assert sent.headers["Location"] == "/ui/deliveries?hook=crm"
        assert "2 cancelled, 1 left out" in (await browser.get("deliveries?hook=crm")).text
        assert "2 cancelled" not in (await browser.get("deliveries?hook=crm")).text
        for each in kept:
            assert (await browser.api.client.get(f"/deliveries/{each.delivery.id}"))["reason"] == "cancelled"


async def test_all_that_match_are_cancelled_after_a_count_and_nothing_that_came_later(history):
    kept = [waiting(a_delivery()) for _ in range(3)]
    async with browsing(history, *kept) as browser:
        await browser.login()
        listed = await browser.get("deliveries?hook=crm&from=-1000d")
        way = re.search(r'href="/ui/(deliveries/many\?do=cancel[^"]+)"', listed.text)
        assert way
        asked = await browser.get(way[1].replace("&amp;", "&"))
        assert "3 deliveries" in asked.text
        assert "-1000d" not in asked.text.partition("<h1>")[2]
        fields = dict(
            re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked.text.partition("many")[2])
        )
        late = waiting(a_delivery(), at=time.time() + 5)
        assert await history.commit([late]) == []
        done = await browser.post("deliveries/many", **{**fields, "csrf": asked.csrf})
        assert done.status == 303
        assert "3 cancelled" in (await browser.get("deliveries")).text
        assert (await browser.api.client.get(f"/deliveries/{late.delivery.id}"))["status"] == "PENDING"


async def test_what_cannot_be_counted_is_told(history):
    async with browsing(history) as browser:
        await browser.login()
        assert "there is no hook" in (await browser.get("deliveries/many?do=retry&hook=nope")).text


async def test_attempts_are_compared_with_the_one_before(history):
    delivery = a_delivery()
    entries = [
        Record(delivery, "webhook", Status.RETRYING, "status", NOW + n, attempt, NOW + 60)
        for n, attempt in enumerate(
            (
                an_attempt(1, outcome="status", code=503, error="first"),
                an_attempt(2, outcome="status", code=502, error="second"),
            )
        )
    ]
    async with browsing(history, *entries) as browser:
        await browser.login()
        page = await browser.get(f"deliveries/{delivery.id}")
        assert page.text.count("Changed since the attempt before") == 1
        assert '<td class="was"><bdi>503</bdi></td><td class="is"><bdi>502</bdi></td>' in page.text
