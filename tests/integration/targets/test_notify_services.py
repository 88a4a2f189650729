"""Each service gets what it takes: readable, within its limits, with nobody called who was not meant."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.core.delivery import Answer
from tests.support.notifying import event, notify
from tests.support.services import Services, running, squeezed

ALL = ["discord", "slack", "tgram", "ntfy", "pover", "apprise", "json"]
NASTY = (
    "a < b && c > d, _under_ *star* **two** `tick` [l](http://x) ~~gone~~ snake_case 1 * 2 \\ \\_ ||spoiler|| &amp; "
    "&lt;i&gt; <b>bold <!channel> <@123> <@&9> @everyone @here joe@example.net 😀 👨‍👩‍👧 🇨🇿🇩🇪 žluťoučký\n"
    "# no heading\n> no quote\n- 2. no list\n```\nno code\n"
)


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    async with running() as services:
        yield services


async def send(services: Services, service: str, text: str, title: str = "", **settings: Any) -> Answer:
    settings = {"title": "{{ event.data.title }}", "body": "{{ event.data.text }}"} | settings
    target = notify(services.url(service), services=services, **settings)
    answer = await target.attempt(event(text, title))
    await target.close()
    return answer


@pytest.mark.parametrize("service", ALL)
async def test_text_arrives_as_it_was_written(services: Services, service: str) -> None:
    answer = await send(services, service, NASTY, "Order <7> *new* & more")
    assert (answer.fault, answer.error) == (None, "")
    (post,) = services.posts[service]
    assert squeezed(NASTY) in squeezed(post.text)
    assert "Order <7> *new* & more" in post.title + post.text


@pytest.mark.parametrize("written", ["markdown", "html"])
@pytest.mark.parametrize("service", ["discord", "tgram", "pover"])
async def test_markup_of_the_template_acts_and_markup_of_the_event_does_not(
    services: Services, service: str, written: str
) -> None:
    bold = {"markdown": "**Sure:** ", "html": "<b>Sure:</b> "}[written]
    answer = await send(services, service, NASTY, body=bold + "{{ event.data.text }}", format=written)
    assert (answer.fault, answer.error) == (None, "")
    (post,) = services.posts[service]
    assert squeezed("Sure: " + NASTY) in squeezed(post.text)
    raw = str(post.given.get("content") or post.given.get("text") or post.given.get("message"))
    assert re.search(r"(\*\*|<b>|<strong>)Sure:", raw)


@pytest.mark.parametrize("service", ALL)
@pytest.mark.parametrize("written", ["text", "markdown", "html"])
async def test_five_thousand_characters_arrive_within_the_limits(
    services: Services, service: str, written: str
) -> None:
    words = "word<_*😀& "
    text = (words * 600)[:4990] + " the end!"
    answer = await send(services, service, text, "Long", format=written)
    assert (answer.fault, answer.error) == (None, "")
    arrived = services.text(service)
    if written == "text":
        assert squeezed(text) in arrived
    else:
        assert arrived.count("word") == text.count("word")
        assert "theend!" in arrived


async def test_pieces_carry_their_number_where_there_is_a_title(services: Services) -> None:
    await send(services, "pover", "x " * 1200, "T" * 300)
    assert [post.title for post in services.posts["pover"]] == [
        "T" * 243 + f"… ({number}/3)" for number in (1, 2, 3)
    ]


async def test_what_is_over_ten_pieces_ends_in_an_ellipsis(services: Services) -> None:
    await send(services, "pover", "wörd " * 10_000)
    assert len(services.posts["pover"]) == 10
    assert services.posts["pover"][-1].text.endswith("…")


async def test_markdown_is_converted_no_further_than_anybody_reads(services: Services) -> None:
    target = notify(
        services.url("tgram"), services=services, body="{{ event.data.text }}", format="markdown", timeout=10
    )
    assert (await target.attempt(event("a line\n" * 140_000))).fault is None
    assert len(services.posts["tgram"]) == 10
    assert services.posts["tgram"][-1].text.endswith("…")


async def test_a_url_may_ask_for_one_piece_only(services: Services) -> None:
    target = notify(
        services.url("pover") + "?overflow=truncate", services=services, body="{{ event.data.text }}"
    )
    assert (await target.attempt(event("word " * 1000))).fault is None
    (post,) = services.posts["pover"]
    assert post.text.endswith("word…")
    assert 1000 < len(post.text) <= 1024


async def test_a_paragraph_after_text_begins_a_line_at_pushover(services: Services) -> None:
    await send(services, "pover", "x", body="<b>{{ event.data.text }}</b> one<p>two</p>", format="html")
    (post,) = services.posts["pover"]
    assert "one<br>two" in post.given["message"]


async def test_an_address_stays_whole_at_discord(services: Services) -> None:
    await send(services, "discord", "see https://e.example/_a_/*b* _c_")
    (post,) = services.posts["discord"]
    assert post.given["content"].endswith("see https://e.example/_a_/*b* \\_c\\_")


@pytest.mark.parametrize("service", ["slack?blocks=yes", "discord?format=markdown"])
@pytest.mark.parametrize("written", ["text", "markdown"])
async def test_blocks_and_embeds_have_limits_of_their_own(
    services: Services, service: str, written: str
) -> None:
    name, _, option = service.partition("?")
    target = notify(
        f"{services.url(name)}?{option}",
        services=services,
        title="{{ event.data.title }}",
        body="{{ event.data.text }}",
        format=written,
    )
    text = " ".join(["@everyone", "<!channel>", "*word*"] * 250)
    found = await target.attempt(event(text, "T" * 300))
    assert (found.fault, found.error) == (None, "")
    assert services.text(name).count("word") == 250
    assert "allow_mentions" not in str([post.given for post in services.posts[name]])


async def test_a_title_is_one_line_and_alone_is_enough(services: Services) -> None:
    await send(services, "ntfy", "body", "one\r\nX-Evil: two\n")
    assert services.posts["ntfy"][0].title == "one X-Evil: two"
    await send(services, "discord", "", "Only a title")
    assert services.posts["discord"][0].text == "Only a title"


async def test_no_picture_and_no_words_but_ours_go_out(services: Services) -> None:
    for service in ALL:
        await send(services, service, "hello", "T")
    for service in ALL:
        (post,) = services.posts[service]
        assert "http" not in str(post.given), service
        assert "pprise" not in str(post.given), service
        assert "footer" not in str(post.given), service
    assert services.posts["discord"][0].headers["User-Agent"] == "amqp-bridge"


async def test_the_level_reaches_who_knows_one(services: Services) -> None:
    await send(services, "apprise", "x", level="failure")
    assert services.posts["apprise"][0].given["type"] == "failure"


async def test_data_for_programs_is_not_cut_and_may_be_json(services: Services) -> None:
    body = '{"text": "{{ event.data.text }}"}'
    await send(services, "json", 'say "hi" ' + "x" * 100_000, body=body)
    (post,) = services.posts["json"]
    assert post.text == '{"text": "say \\"hi\\" ' + "x" * 100_000 + '"}'
