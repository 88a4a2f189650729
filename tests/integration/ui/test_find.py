"""Find by id and by name, without any script."""

import time

from tests.support.records import a_delivery, an_event, delivered
from tests.support.ui import browsing


async def test_an_id_or_its_beginning_leads_straight_to_what_has_it(history):
    kept = delivered(a_delivery(an_event(publisher_id="order-4711")))
    event = kept.delivery.event
    async with browsing(history, kept) as browser:
        await browser.login()
        for text, path in (
            (kept.delivery.id, f"deliveries/{kept.delivery.id}"),
            (event.id, f"events/{event.id}"),
            (event.id.upper(), f"events/{event.id}"),
            ("order-4711", f"events/{event.id}"),
            ("wh_1", f"events/{event.id}"),
        ):
            found = await browser.get(f"find?q={text}")
            assert (found.status, found.headers.get("Location")) == (303, f"/ui/{path}"), text


async def test_names_of_hooks_and_types_are_listed(history):
    async with browsing(history, delivered(a_delivery(an_event(time.time())))) as browser:
        await browser.login()
        assert 'href="/ui/hooks/crm"' in (await browser.get("find?q=cr")).text
        assert (
            'href="/ui/events?type=customers.create"' in (await browser.get("find?q=customers.create")).text
        )
        assert "Nothing has this id or name" in (await browser.get("find?q=nothing-of-the-kind")).text


async def test_the_palette_gets_options_alone(history):
    async with browsing(history) as browser:
        await browser.login()
        part = await browser.get("find?q=crm", **{"HX-Request-Type": "partial"})
        assert 'role="option"' in part.text
        assert "<form" not in part.text
