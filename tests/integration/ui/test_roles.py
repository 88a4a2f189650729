"""What a role may not do is neither drawn nor taken, and forms may lack their fields."""

import pytest

from tests.support.ui import browsing


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
