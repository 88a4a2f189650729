"""The pages of events."""

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.core.event import Source
from bridge.core.ports import Outgoing
from bridge.publishing.api import PublishRoutes
from bridge.publishing.service import Publishing, SqlIdempotency
from tests.support.records import NOW, a_delivery, an_event, delivered, new_id
from tests.support.ui import Browser, browsing


async def test_an_event_has_a_row_for_every_hook_with_its_reason(history):
    kept = delivered(a_delivery(an_event(type="orders.created")))
    async with browsing(history, kept) as browser:
        await browser.login()
        page = await browser.get(f"events/{kept.delivery.event.id}")
        assert "matches none of customers.*" in page.text
        assert kept.delivery.id in page.text
        assert f"amqp-bridge events show --explain {kept.delivery.event.id}" in page.text


async def test_the_list_tells_what_became_of_each_event(history):
    kept = delivered()
    async with browsing(history, kept) as browser:
        await browser.login()
        page = await browser.get("events?status=matched")
        assert f"/ui/events/{kept.delivery.event.id}" in page.text
        assert "No event matches" in (await browser.get("events?status=unmatched")).text


async def test_an_invalid_expression_is_told_at_its_field(history):
    async with browsing(history) as browser:
        await browser.login()
        assert 'id="fault-where"' in (await browser.get("events?where=event.data.%2B")).text


async def test_data_are_a_tree_text_or_bytes_and_never_markup(history):
    body = b'{"name":"<b>Ada</b>\\u202e","tags":[1,null,true]}'
    kept = delivered(a_delivery(an_event(body=body, headers={"x": "<script>"})))
    async with browsing(history, kept) as browser:
        await browser.login()
        path = f"events/{kept.delivery.event.id}"
        tree, raw, as_hex = [(await browser.get(f"{path}?as={view}")).text for view in ("tree", "raw", "hex")]
        for page in (tree, raw, as_hex):
            assert "<b>" not in page
            assert "<script>" not in page
        assert "&lt;b&gt;Ada&lt;/b&gt;\\u202e" in tree
        assert "&lt;b&gt;Ada&lt;/b&gt;\\u202e" in raw
        assert re.search(r"00000000 {2}7b 0a", as_hex)


async def test_what_is_no_text_is_shown_in_hexadecimal(history):
    kept = delivered(a_delivery(an_event(NOW, body=b"\xff\xfe\x00", format="raw", type="binary")))
    async with browsing(history, kept) as browser:
        await browser.login()
        found = await browser.api.client.get(f"/events/{kept.delivery.event.id}")
        assert base64.b64decode(found["data_base64"]) == b"\xff\xfe\x00"
        assert "ff fe 00" in (await browser.get(f"events/{kept.delivery.event.id}")).text


async def test_publishing_again_begins_with_what_was_published(history):
    kept = delivered(a_delivery(an_event(body=b'{"total":7}')))
    async with browsing(history, kept) as browser:
        await browser.login()
        form = await browser.get(f"events/new?again={kept.delivery.event.id}")
        assert "&#34;total&#34;: 7" in form.text
        assert 'value="customers.create"' in form.text


class Broker:
    """Confirms what is published."""

    def __init__(self) -> None:
        self.published: list[Outgoing] = []

    async def publish(self, message: Outgoing) -> None:
        self.published.append(message)

    async def declare(self, queue: str) -> None:
        raise AssertionError(queue)


@asynccontextmanager
async def publishing(history, broker: Broker) -> AsyncIterator[Browser]:
    sources = [Source.model_validate({"name": "splynx", "queue": "hooks2", "format": "splynx"})]
    routes = PublishRoutes(Publishing(sources, broker, SqlIdempotency(history.engine), new_id))
    async with browsing(history, more=[routes]) as browser:
        await browser.login()
        yield browser


async def test_a_form_publishes_once_however_often_it_is_sent(history):
    broker = Broker()
    async with publishing(history, broker) as browser:
        form = await browser.get("events/new")
        key = re.search(r'name="key" value="([^"]+)"', form.text)
        assert key
        fields = {"csrf": form.csrf, "key": key[1], "source": "splynx", "data": '{"n": 1.50}'}
        answers = [await browser.post("events", **fields) for _ in range(2)]
        assert [each.status for each in answers] == [303, 303]
        assert answers[0].headers["Location"] == answers[1].headers["Location"]
        assert answers[0].headers["Location"].startswith("/ui/events?publisher_id=")
        [sent] = broker.published
        assert json.loads(sent.body) == {"n": 1.5}


async def test_faults_of_the_form_stand_at_their_fields_and_nothing_typed_is_lost(history):
    broker = Broker()
    async with publishing(history, broker) as browser:
        form = await browser.get("events/new")
        page = await browser.post("events", csrf=form.csrf, key="k", source="nope", data='{"typed": 1}')
        assert page.status == 422
        assert 'id="fault-source"' in page.text
        assert "&#34;typed&#34;: 1" in page.text
        page = await browser.post("events", csrf=form.csrf, key="k", source="splynx", data="{oops")
        assert page.status == 422
        assert "{oops" in page.text
        assert 'id="fault-data"' in page.text
        assert broker.published == []
