"""What a role may not do is neither drawn nor taken, and forms may lack their fields."""

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.support.ui import browsing
from tests.support.waiting import until


async def as_role(browser, role: str) -> None:
    made = await browser.api.client.send("POST", "/tokens", {"name": role, "role": role})
    await browser.login(made.body["token"])


@pytest.mark.parametrize("path", ["hooks/new", "hooks/crm/test", "quarantine/bulk?do=drop"])
async def test_a_viewer_is_told_the_role_that_a_page_needs(history, path):
    async with browsing(history) as browser:
        await as_role(browser, "viewer")
        page = await browser.get(path)
        assert page.status == 403
        assert "needs the role" in page.text


@pytest.mark.parametrize("path", ["deliveries/retry", "hooks/switch", "hooks/new", "hooks/crm/edit"])
async def test_a_form_that_a_role_may_not_send_is_refused_before_it_is_read(history, path):
    async with browsing(history) as browser:
        await as_role(browser, "viewer")
        csrf = (await browser.get("")).csrf
        assert (await browser.post(path, csrf=csrf)).status == 403


@pytest.mark.parametrize("path", ["hooks/new", "hooks/crm/edit", "hooks/switch", "explain"])
async def test_a_form_without_its_fields_is_told_its_faults(history, path):
    async with browsing(history) as browser:
        await browser.login()
        csrf = (await browser.get("")).csrf
        assert (await browser.post(path, csrf=csrf)).status < 500


async def test_a_form_that_is_cut_off_is_no_error_of_the_bridge(history, caplog):
    caplog.set_level("DEBUG")
    async with browsing(history) as browser:
        place = urlsplit(browser.url)
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        head = f"POST /ui/login HTTP/1.1\r\nHost: {place.netloc}\r\nOrigin: {browser.url}\r\n"
        kind = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken="
        writer.write((head + kind).encode())
        await until(lambda: browser.api.ui._open)
        writer.close()
        await until(lambda: not browser.api.ui._open)
        assert not [each for each in caplog.records if each.exc_info]
