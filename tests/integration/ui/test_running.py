"""The pages that say how the bridge runs: audit, system, explain, statistics."""

import json
import re

import pytest

from tests.support.chromium import open_page
from tests.support.records import delivered, in_quarantine
from tests.support.replays import failures
from tests.support.ui import browsing, log_in

LOOKS = [
    {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    for scheme in ("light", "dark")
    for width in (1280, 390)
]
PHLIX = {"name": "phlix", "queue": "phlix", "format": "phlix", "dimensions": {"user": "event.data.user_id"}}


async def test_the_audit_log_tells_who_changed_what(history):
    async with browsing(history) as browser:
        await browser.login()
        await browser.api.client.send("POST", "/tokens", {"name": "olga", "role": "operator"})
        page = (await browser.get("audit?action=tokens.create")).text
        assert "olga" in page
        assert "127.0.0.1" in page
        assert "amqp-bridge audit --action tokens.create" in page
        assert 'id="fault-action"' in (await browser.get("audit?action=tokens.creat")).text


async def test_a_change_of_a_hook_links_to_it(history):
    async with browsing(history) as browser:
        await browser.login()
        await browser.api.client.send("POST", "/hooks/crm/pause", {"reason": "<b>moving</b>"})
        page = (await browser.get("audit")).text
        assert 'href="/ui/hooks/crm"' in page
        assert "&lt;b&gt;moving" in page


async def test_a_token_is_made_shown_once_and_revoked(history):
    async with browsing(history) as browser:
        await browser.login()
        form = await browser.get("system")
        given = {"name": "grafana", "role": "viewer", "expires_in": "90d"}
        made = await browser.post("system/tokens", csrf=form.csrf, **given)
        assert made.status == 200
        assert made.headers["Cache-Control"] == "no-store"
        [token] = re.findall(r"abt_\w+", made.text)
        assert token not in (await browser.get("system")).text
        [known] = (await browser.api.client.get("/tokens"))["items"]
        gone = await browser.post(f"system/tokens/{known['id']}/revoke", csrf=form.csrf)
        assert gone.headers["Location"] == "/ui/system"
        assert (await browser.api.client.get("/tokens"))["items"] == []


async def test_a_name_that_is_taken_is_told_at_its_field(history):
    async with browsing(history) as browser:
        await browser.login()
        form = await browser.get("system")
        given = {"name": "grafana", "role": "viewer", "expires_in": ""}
        await browser.post("system/tokens", csrf=form.csrf, **given)
        again = await browser.post("system/tokens", csrf=form.csrf, **given)
        assert again.status == 422
        assert 'id="fault-name"' in again.text


async def test_a_viewer_sees_no_tokens(history):
    async with browsing(history) as browser:
        made = await browser.api.client.send("POST", "/tokens", {"name": "vera", "role": "viewer"})
        await browser.login(made.body["token"])
        page = await browser.get("system")
        assert page.status == 200
        assert "system/tokens" not in page.text
        assert (await browser.post("system/tokens", csrf=page.csrf, name="x", role="admin")).status == 403


async def test_a_message_is_explained_and_not_sent(history):
    async with browsing(history) as browser:
        await browser.login()
        form = await browser.get("explain?sample=splynx")
        assert "administrator" not in form.text
        body = json.dumps(
            {
                "type": "",
                "call": "",
                "data": {"model": "models\\admin\\customers\\Customers", "action": "create"},
            }
        )
        found = await browser.post("explain", csrf=form.csrf, body=body, source="splynx")
        assert found.status == 200
        assert 'href="/ui/hooks/crm"' in found.text
        assert (await browser.api.client.get("/events"))["items"] == []


async def test_every_sample_is_taken(history):
    async with browsing(history) as browser:
        await browser.login()
        start = await browser.get("explain")
        samples = re.findall(r"explain\?sample=(\w+)", start.text)
        assert len(samples) > 3
        for each in samples:
            shown = await browser.get(f"explain?sample={each}")
            assert "<textarea" in shown.text


@pytest.mark.parametrize("headers", ["{", '["a"]'])
async def test_headers_that_are_no_object_are_refused(history, headers):
    async with browsing(history) as browser:
        await browser.login()
        form = await browser.get("explain")
        refused = await browser.post("explain", csrf=form.csrf, body="{}", headers=headers)
        assert refused.status == 422
        assert 'class="fault"' in refused.text


async def test_statistics_have_totals_a_chart_and_how_to_declare_a_dimension(history):
    async with browsing(history, delivered(), *failures(2)) as browser:
        await browser.login()
        page = (await browser.get("statistics?span=90d")).text
        assert "dimensions: {customer: event.data.customer_id}" in page
        assert "amqp-bridge stats --since 90d" in page
        assert "there is no hook" in (await browser.get("statistics?hook=nope")).text


async def test_a_source_with_dimensions_is_shown(history):
    async with browsing(history, sources=[PHLIX]) as browser:
        await browser.login()
        assert "No event in this span." in (await browser.get("statistics")).text


@pytest.mark.parametrize(
    "look", LOOKS, ids=lambda look: f"{look['color_scheme']} {look['viewport']['width']}"
)
async def test_pages_are_accessible_and_fit(history, look):
    kept = in_quarantine()
    async with (
        browsing(history, kept, delivered(), *failures(3)) as browser,
        open_page(f"{browser.url}/ui/system", **look) as seen,
    ):
        await browser.api.client.send("POST", "/tokens", {"name": "olga", "role": "operator"})
        await log_in(seen)
        for path in (
            "system",
            "audit",
            "explain",
            "statistics?span=90d",
            "sources",
            "quarantine",
            f"quarantine/{kept.id}",
            f"quarantine/{kept.id}?fix=1",
            "quarantine/bulk?do=drop",
        ):
            await seen.page.goto(f"{browser.url}/ui/{path}")
            await seen.assert_clean()
            assert await seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
