"""Who gets into the UI, what its cookie is worth, and which forms are taken."""

import asyncio
import time

import pytest

from bridge.http.auth import digest_of
from bridge.settings.tree import Http
from bridge.ui.guard import HEADERS
from tests.support.api_server import TOKEN
from tests.support.records import a_delivery, delivered, waiting
from tests.support.ui import browsing


async def test_a_page_leads_to_the_login_and_the_login_back_to_the_page(history):
    async with browsing(history) as browser:
        sent = await browser.get("deliveries?status=FAILED")
        assert (sent.status, sent.headers["Location"]) == (303, "/ui/login?return=deliveries?status%3DFAILED")
        form = await browser.get("login?return=deliveries?status%3DFAILED")
        assert 'value="deliveries?status=FAILED"' in form.text
        entered = await browser.post("login", token=TOKEN, **{"return": "deliveries?status=FAILED"})
        assert (entered.status, entered.headers["Location"]) == (303, "/ui/deliveries?status=FAILED")
        assert (await browser.get("deliveries?status=FAILED")).status == 200


async def test_the_cookie_is_for_the_ui_alone_and_for_no_script(history):
    async with browsing(history) as browser:
        cookie = (await browser.login()).headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/ui" in cookie
        assert "Secure" not in cookie
        assert TOKEN not in cookie


async def test_the_api_takes_no_cookie(history):
    async with browsing(history) as browser:
        await browser.login()
        browser.api.client.token = None
        cookie = f"bridge_session={browser.cookies['bridge_session']}"
        assert (await browser.api.client.ask("/deliveries", headers={"Cookie": cookie})).status == 401


async def test_behind_a_proxy_with_https_the_cookie_is_secure_and_links_have_the_prefix(history):
    http = Http.model_validate({"listen": "127.0.0.1:0", "public_url": "https://ops.test/amqp"})
    async with browsing(history, http=http) as browser:
        entered = await browser.post("login", origin="https://ops.test", token=TOKEN)
        assert entered.headers["Location"] == "/amqp/ui/"
        assert "Secure" in entered.headers["Set-Cookie"]
        assert "Path=/amqp/ui" in entered.headers["Set-Cookie"]
        page = await browser.get("deliveries")
        assert 'href="/amqp/ui/static/' in page.text
        assert '="/ui/' not in page.text


async def test_a_wrong_token_is_told_at_the_field(history):
    async with browsing(history) as browser:
        refused = await browser.login("abt_wrong")
        assert refused.status == 401
        assert 'aria-describedby="fault"' in refused.text
        assert "abt_wrong" not in refused.text
        assert browser.cookies == {}


async def test_guesses_are_slowed_down_and_then_refused(history, monkeypatch):
    monkeypatch.setattr("bridge.http.auth.WAITING_OF_ONE", 0)
    async with browsing(history) as browser:
        statuses = [(await browser.login(f"guess {n}")).status for n in range(11)]
        assert statuses[:9] == [401] * 9
        assert statuses[-1] == 429


async def test_who_has_logged_out_is_out(history):
    async with browsing(history) as browser:
        await browser.login()
        left = await browser.post("logout")
        assert left.headers["Location"] == "/ui/login"
        assert (await browser.get("deliveries")).status == 303


async def test_who_holds_a_revoked_token_is_out_within_a_second(history):
    async with browsing(history) as browser:
        made = await browser.api.client.send("POST", "/tokens", {"name": "olga", "role": "operator"})
        await browser.login(made.body["token"])
        assert (await browser.get("deliveries")).status == 200
        await browser.api.client.send("DELETE", "/tokens/olga")
        revoked = time.monotonic()
        while (await browser.get("deliveries")).status == 200:
            assert time.monotonic() < revoked + 1
            await asyncio.sleep(0.02)


async def test_a_role_sees_what_it_may_do_and_is_refused_the_rest(history):
    kept = waiting(a_delivery())
    async with browsing(history, kept) as browser:
        made = await browser.api.client.send("POST", "/tokens", {"name": "vera", "role": "viewer"})
        await browser.login(made.body["token"])
        page = await browser.get(f"deliveries/{kept.delivery.id}")
        assert "/retry" not in page.text
        refused = await browser.post(f"deliveries/{kept.delivery.id}/retry", csrf=page.csrf)
        assert refused.status == 403
        assert "needs the role operator" in refused.text


@pytest.mark.parametrize("origin", [None, "null", "http://evil.test"])
async def test_a_form_of_another_origin_changes_nothing(history, origin):
    kept = delivered()
    async with browsing(history, kept) as browser:
        await browser.login()
        page = await browser.get(f"deliveries/{kept.delivery.id}")
        path = f"deliveries/{kept.delivery.id}/retry"
        assert (await browser.post(path, origin=origin, csrf=page.csrf)).status == 403
        assert (await browser.api.client.get(f"/deliveries/{kept.delivery.id}"))["status"] == "SUCCESS"


@pytest.mark.parametrize("csrf", ["", "x", "A" * 44])
async def test_a_form_without_the_token_of_its_session_changes_nothing(history, csrf):
    kept = delivered()
    async with browsing(history, kept) as browser:
        await browser.login()
        assert (await browser.post(f"deliveries/{kept.delivery.id}/retry", csrf=csrf)).status == 403
        assert (await browser.api.client.get(f"/deliveries/{kept.delivery.id}"))["status"] == "SUCCESS"


async def test_an_action_is_audited_with_where_it_came_from(history):
    kept = waiting(a_delivery())
    async with browsing(history, kept) as browser:
        await browser.login()
        page = await browser.get(f"deliveries/{kept.delivery.id}")
        done = await browser.post(f"deliveries/{kept.delivery.id}/cancel", csrf=page.csrf)
        assert (done.status, done.headers["Location"]) == (303, f"/ui/deliveries/{kept.delivery.id}")
        [entry] = (await browser.api.client.get("/audit?action=deliveries.cancel"))["items"]
        assert (entry["actor"], entry["object_id"]) == ("admin", kept.delivery.id)
        assert entry["detail"]["via"] == "ui"
        assert entry["remote"] == "127.0.0.1"


async def test_a_login_link_lets_in_once(history):
    async with browsing(history) as browser:
        secret = browser.api.ui.sessions.link(digest_of(TOKEN), time.time())
        form = await browser.get(f"login?once={secret}")
        assert secret in form.text
        assert (await browser.get("deliveries")).status == 303
        assert (await browser.post("login", once=secret)).status == 303
        assert (await browser.get("deliveries")).status == 200
        assert (await browser.post("login", once=secret)).status == 401
        assert "was used" in (await browser.get(f"login?once={secret}")).text


async def test_every_answer_has_the_headers_that_protect_it(history):
    async with browsing(history) as browser:
        await browser.login()
        for path in (
            "login",
            "deliveries",
            "nope",
            "static/nope",
            "deliveries/01969f46-08a2-7281-857f-db3509783fc5",
        ):
            answer = await browser.get(path)
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, path
            assert answer.headers["Cache-Control"] == "no-store"


async def test_a_switched_off_ui_is_not_there(history):
    async with browsing(history) as browser:
        await browser.api.server.stop()
    from tests.support.api_server import serving_api

    async with serving_api(history) as api, api.client.session.get(f"{api.client.url}/ui/") as answer:
        assert answer.status == 404
