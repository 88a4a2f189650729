"""The editor of hooks, as HTML: the form, the same as YAML, and what the draft would do."""

import html
import re
from typing import Any

from bridge.settings.yaml import parse
from tests.support.records import a_delivery, an_event, delivered
from tests.support.ui import Browser, Shown, browsing

URL = "https://shop.test/in"
HOOK = {
    "name": "shop",
    "events": ["orders.*", "refunds.#"],
    "filter": "event.data.total > 1",
    "retry": {"schedule": ["5s", "1m"], "max_attempts": 7},
    "rate": 2.5,
    "target": {
        "type": "webhook",
        "url": URL,
        "headers": {"X-Team": "billing"},
        "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "tls": {"verify": False},
        "timeout": "20s",
    },
}


def fields(page: Shown) -> dict[str, str]:
    """The fields of the editor as a browser would send them, without the button."""
    form = page.text[page.text.index('<form class="editor"') :]
    form = form[: form.index("</form>")]
    found = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        assert name
        if 'type="checkbox"' not in tag or " checked" in tag:
            found[name[1]] = html.unescape(value[1] if value else "")
    for name, text in re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL):
        found[name] = html.unescape(text)
    for name, inside in re.findall(r'<select name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', inside)
        found[name] = chosen[1] if chosen else ""
    return found


async def made(browser: Browser, **hook: Any) -> str:
    answer = await browser.api.client.send("POST", "/hooks", {**HOOK, **hook})
    assert answer.status == 201, answer.body
    which: str = answer.body["id"]
    return which


async def test_a_hook_made_from_an_event_has_its_type_and_source_and_is_saved_off(history):
    event = an_event(type="orders.created")
    async with browsing(history, delivered(a_delivery(event))) as browser:
        await browser.login()
        page = await browser.get(f"hooks/new?event={event.id}")
        form = fields(page)
        assert (form["events"], form["sources"]) == ("orders.created", "splynx")
        assert "1 of 1" in page.text
        form |= {"webhook:target.url": URL, "do": "off"}
        saved = await browser.post("hooks/new", **form)
        assert saved.status == 303
        which = saved.headers["Location"].removeprefix("/ui/hooks/").partition("?")[0]
        hook = await browser.api.client.get(f"/hooks/{which}")
        assert (hook["name"], hook["enabled"], hook["events"]) == ("shop-test", False, ["orders.created"])
        page = await browser.get(saved.headers["Location"].removeprefix("/ui/"))
        assert "Go live" in page.text
        assert f'name="event" value="{event.id}"' in page.text


async def test_a_hook_that_is_saved_unchanged_stays_as_it_is_with_what_the_form_does_not_have(history):
    async with browsing(history) as browser:
        await browser.login()
        which = await made(browser)
        before = await browser.api.client.get(f"/hooks/{which}")
        page = await browser.get(f"hooks/{which}/edit")
        form = fields(page)
        assert form["retry.schedule"] == "5s 1m"
        assert form["webhook:target.headers"] == "X-Team: billing"
        assert "whsec" not in page.text
        for turn in ("save", "yaml"):
            answer = await browser.post(f"hooks/{which}/edit", **fields(page), do=turn)
            assert answer.status in {200, 303}, answer.text
            page = await browser.get(f"hooks/{which}/edit")
        yaml = fields(answer)
        assert yaml["mode"] == "yaml"
        tree = parse(yaml["yaml"], "hook").value
        assert tree["target"]["tls"]["verify"] is False
        yaml["etag"] = fields(page)["etag"]
        assert (await browser.post(f"hooks/{which}/edit", **yaml, do="save")).status == 303
        after = await browser.api.client.get(f"/hooks/{which}")
        unlike = {name for name in before if before[name] != after[name]}
        assert unlike <= {"updated_at"}


async def test_form_and_yaml_are_turned_into_each_other(history):
    async with browsing(history) as browser:
        await browser.login()
        form = fields(await browser.get("hooks/new"))
        form |= {"name": "bus", "target.type": "queue", "queue:target.queue": "copies", "concurrency": "4"}
        yaml = fields(await browser.post("hooks/new", **form, do="yaml"))
        assert parse(yaml["yaml"], "hook").value == {
            "target": {"type": "queue", "queue": "copies"},
            "name": "bus",
            "concurrency": 4,
        }
        back = fields(await browser.post("hooks/new", **yaml, do="form"))
        assert {name: back[name] for name in form if name != "base"} == {
            name: form[name] for name in form if name not in {"base", "csrf"}
        } | {"csrf": back["csrf"]}


async def test_faults_are_told_at_their_fields_and_what_was_typed_stays(history):
    async with browsing(history) as browser:
        await browser.login()
        form = fields(await browser.get("hooks/new"))
        form |= {
            "name": "Not So",
            "filter": "event.data. > 1",
            "webhook:target.url": "ftp://x",
            "concurrency": "many",
        }
        refused = await browser.post("hooks/new", **form, do="live")
        assert refused.status == 422
        for key in ("name", "concurrency"):
            assert f'id="fault-{key}"' in refused.text
        assert fields(refused)["filter"] == "event.data. > 1"
        form |= {"name": "so", "concurrency": "3"}
        refused = await browser.post("hooks/new", **form, do="live")
        assert 'id="fault-filter"' in refused.text
        assert 'id="fault-webhook-target-url"' in refused.text
        tried = await browser.post("hooks/new", **form, do="preview")
        assert re.search(r'id="fault-filter">line 1, column \d+: ', tried.text)


async def test_faults_of_yaml_are_told_with_their_lines(history):
    async with browsing(history) as browser:
        await browser.login()
        form = fields(await browser.get("hooks/new")) | {"mode": "yaml"}
        broken = await browser.post("hooks/new", **form, yaml="name: a\nevents: [", do="off")
        assert broken.status == 422
        assert "(line 2, column" in broken.text
        text = "name: a\ntarget:\n  type: webhook\n  url: https://x.test/\n  nope: 1\n"
        unfit = await browser.post("hooks/new", **form, yaml=text, do="off")
        assert re.search(r"<code>target.nope</code>: [^<]*\(line 5\)", unfit.text)
        assert fields(unfit)["yaml"] == text


async def test_a_hook_that_others_changed_meanwhile_is_shown_beside_the_draft(history):
    async with browsing(history) as browser:
        await browser.login()
        which = await made(browser)
        form = fields(await browser.get(f"hooks/{which}/edit")) | {"events": "orders.created"}
        await browser.api.client.send("PATCH", f"/hooks/{which}", {"concurrency": 3})
        refused = await browser.post(f"hooks/{which}/edit", **form, do="save")
        assert refused.status == 412
        assert re.search(r"<del>.*concurrency: 3</del>", refused.text)
        assert re.search(r"<ins>.*orders.created</ins>", refused.text)
        again = await browser.post(f"hooks/{which}/edit", **fields(refused), do="save")
        assert again.status == 303
        assert (await browser.api.client.get(f"/hooks/{which}"))["events"] == ["orders.created"]


async def test_the_draft_is_compared_with_the_hook_in_force_and_a_script_gets_that_alone(history):
    kept = [delivered(a_delivery(an_event(type=kind))) for kind in ("orders.a", "orders.b", "other")]
    async with browsing(history, *kept) as browser:
        await browser.login()
        which = await made(browser, filter=None)
        form = fields(await browser.get(f"hooks/{which}/edit")) | {"events": "orders.a\nother"}
        tried = await browser.post(f"hooks/{which}/edit", **form)
        assert tried.status == 200
        assert "2 of 3" in tried.text
        assert '<span class="plus">+1</span> <span class="minus">\N{MINUS SIGN}1</span>' in tried.text
        assert "no pattern" in tried.text
        chosen = kept[0].delivery.event.id
        tried = await browser.post(f"hooks/{which}/edit", **form, chosen=chosen)
        assert fields(tried)["event"] == chosen
        part = await browser.part(f"hooks/{which}/edit", **form)
        assert "<nav" not in part.text
        assert "2 of 3" in part.text


async def test_who_is_no_admin_reads_the_settings_and_a_hook_of_the_file_can_be_copied(history):
    async with browsing(history) as browser:
        await browser.login()
        page = await browser.get("hooks/crm/edit")
        assert "read only" in page.text
        assert "url: https://crm.test/in" in page.text
        assert '<form class="editor"' not in page.text
        made_token = await browser.api.client.send("POST", "/tokens", {"name": "olga", "role": "operator"})
        which = await made(browser)
        await browser.login(made_token.body["token"])
        page = await browser.get(f"hooks/{which}/edit")
        assert '<form class="editor"' not in page.text
        assert "Settings" in page.text
        assert (await browser.get("hooks/new")).status == 403
