"""Stand-ins for the HTTP APIs of notification services, as strict about what they get as the real ones.

Rules: https://docs.discord.com/developers/resources/webhook, https://docs.slack.dev/messaging/formatting-message-text,
https://core.telegram.org/bots/api#sendmessage, https://docs.ntfy.sh/publish, https://pushover.net/api,
https://github.com/caronc/apprise-api.
"""

import asyncio
import html
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from aiohttp import web

_TELEGRAM_TAGS = {
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "code",
    "pre",
    "a",
    "blockquote",
}
_TELEGRAM_TAGS |= {"tg-spoiler", "span", "tg-emoji"}
_BAD_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|#\d+|#x[0-9a-fA-F]+);)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


@dataclass
class Post:
    """One accepted post: what a person reads of it, and all that came."""

    title: str
    text: str
    given: dict[str, Any]
    headers: dict[str, str]


Answering = Callable[[web.Request], Awaitable[web.Response]]


@dataclass
class Services:
    """Where they listen, what they took, and how they are to behave next."""

    port: int = 0
    posts: dict[str, list[Post]] = field(default_factory=lambda: defaultdict(list))
    requests: list[tuple[str, str]] = field(default_factory=list)
    planned: dict[str, list[Answering]] = field(default_factory=lambda: defaultdict(list))

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def endpoints(self) -> dict[str, str]:
        return dict.fromkeys(("discord", "slack", "tgram", "pover"), self.base)

    def url(self, service: str) -> str:
        """An Apprise URL of each service, the ones with a host pointing here."""
        return {
            "discord": "discord://417429632418316298/JHZ7lQml277CDHmQKMHI8qBe7bk2ZwO5UKjCiOAF7711o33",
            "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
            "tgram": "tgram://123456789:abcdefg_hijklmnop/12315544",
            "ntfy": f"ntfy://127.0.0.1:{self.port}/alerts",
            "pover": "pover://" + "u" * 30 + "@" + "t" * 30,
            "apprise": f"apprise://127.0.0.1:{self.port}/ops",
            "json": f"json://127.0.0.1:{self.port}/json",
        }[service]

    def plan(self, service: str, *answers: Answering) -> None:
        """What the service does with its next requests, in place of taking them."""
        self.planned[service].extend(answers)

    def text(self, service: str) -> str:
        """What a person reads of all posts, without blanks, which cutting may drop."""
        return squeezed("".join(post.text for post in self.posts[service]))


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u200b]+", "", text)


def answer(status: int, body: str = "", **headers: str) -> Answering:
    async def respond(_: web.Request) -> web.Response:
        return web.Response(
            status=status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    return respond


def silence(seconds: float = 30) -> Answering:
    async def respond(_: web.Request) -> web.Response:
        await asyncio.sleep(seconds)
        return web.Response()

    return respond


@asynccontextmanager
async def running() -> AsyncIterator[Services]:
    """All stand-ins on one port."""
    services = Services()
    app = web.Application(client_max_size=2**24)

    def serve(path: str, service: str, take: Callable[..., Awaitable[web.Response]]) -> None:
        async def handle(request: web.Request) -> web.Response:
            services.requests.append((service, request.path))
            if services.planned[service]:
                return await services.planned[service].pop(0)(request)
            return await take(services, request)

        app.router.add_post(path, handle)

    serve("/api/webhooks/{id}/{token}", "discord", _discord)
    serve("/services/{a}/{b}/{c}", "slack", _slack)
    serve("/bot{token}/sendMessage", "tgram", _telegram)
    serve("/", "ntfy", _ntfy)
    serve("/1/messages.json", "pover", _pushover)
    serve("/notify", "apprise", _apprise)
    serve("/json", "json", _json)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    services.port = runner.addresses[0][1]
    try:
        yield services
    finally:
        await runner.cleanup()


def _take(services: Services, service: str, request: web.Request, post: tuple[str, str, Any]) -> None:
    services.posts[service].append(Post(*post, dict(request.headers)))


async def _discord(services: Services, request: web.Request) -> web.Response:
    given = await request.json()
    embeds = given.get("embeds") or []
    content = given.get("content") or ""
    if not content and not embeds:
        return web.json_response({"message": "Cannot send an empty message", "code": 50006}, status=400)
    if len(content) > 2000 or any(
        len(e.get("description", "")) > 4096 or len(e.get("title", "")) > 256 for e in embeds
    ):
        return web.json_response({"message": "Invalid Form Body", "code": 50035}, status=400)
    assert not re.search(r"@(everyone|here)|<@[&!]?\d", content), "somebody would be called"
    shown = content + "".join(e.get("title", "") + e.get("description", "") for e in embeds)
    _take(services, "discord", request, ("", _shown_markdown(shown), given))
    return web.Response(status=204)


def _shown_markdown(text: str) -> str:
    """Discord's text as it is drawn; what is marked loses its marks."""
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[1])
        return f"\x00{len(kept) - 1}\x00"

    plain = _ESCAPED.sub(keep, text)
    plain = re.sub(r"\*\*(.+?)\*\*|(?<!\w)_(.+?)_(?!\w)|\*(.+?)\*|`(.+?)`", _content, plain)
    return re.sub("\x00(\\d+)\x00", lambda match: kept[int(match[1])], plain)


def _content(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


async def _slack(services: Services, request: web.Request) -> web.Response:
    given = await request.json()
    attachments = given.get("attachments") or []
    texts = [given.get("text") or "", *(a.get("text", "") for a in attachments)]
    sections = [b for a in attachments for b in a.get("blocks", []) if "text" in b]
    blocks = [b["text"]["text"] for b in sections if b["type"] != "header"]
    if any(len(b["text"]["text"]) > 150 for b in sections if b["type"] == "header"):
        return web.Response(status=400, text="invalid_blocks")
    if not any(texts) and not blocks:
        return web.Response(status=400, text="no_text")
    if any(len(text) > 40_000 for text in texts) or any(len(text) > 3000 for text in blocks):
        return web.Response(status=400, text="msg_too_long")
    assert not any(re.search(r"<[!@#]", text) for text in texts + blocks), "somebody would be called"
    title = html.unescape("".join(a.get("title", "") for a in attachments))
    _take(services, "slack", request, (title, html.unescape("".join(texts + blocks)), given))
    return web.Response(text="ok")


class _Telegram(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.open: list[str] = []

    def read(self, text: str) -> None:
        """Raises ValueError for what Telegram would refuse."""
        if _BAD_ENTITY.search(text):
            raise ValueError("unsupported entity")
        self.feed(text)
        self.close()
        if self.open:
            raise ValueError(f'Can\'t find end tag corresponding to start tag "{self.open[-1]}"')

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in _TELEGRAM_TAGS:
            raise ValueError(f'Unsupported start tag "{tag}"')
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f'Unexpected end tag "{tag}"')

    def handle_data(self, data: str) -> None:
        if "<" in data and "&lt;" not in self.rawdata:
            raise ValueError("Unclosed start tag")
        self.text += data

    def handle_decl(self, decl: str) -> None:
        raise ValueError(f'Unsupported start tag "!{decl}"')

    def unknown_decl(self, data: str) -> None:
        raise ValueError(f'Unsupported start tag "!{data}"')


async def _telegram(services: Services, request: web.Request) -> web.Response:
    given = await request.json()
    text = given.get("text") or ""
    if given.get("parse_mode", "HTML").upper() != "HTML":
        raise AssertionError("only HTML is understood by this stand-in")
    parser = _Telegram()
    try:
        parser.read(text)
    except ValueError as error:
        return _telegram_says(400, f"Bad Request: can't parse entities: {error}")
    if not parser.text.strip() or len(parser.text) > 4096 or len(text) > 4096:
        return _telegram_says(400, "Bad Request: message is too long")
    _take(services, "tgram", request, ("", parser.text, given))
    return web.json_response({"ok": True, "result": {"message_id": 1}})


def _telegram_says(code: int, text: str) -> web.Response:
    return web.json_response({"ok": False, "error_code": code, "description": text}, status=code)


async def _ntfy(services: Services, request: web.Request) -> web.Response:
    given = await request.json()
    if given.get("topic") != "alerts" or len(given.get("message", "").encode()) > 4096:
        return web.json_response({"code": 40024, "http": 400, "error": "invalid request"}, status=400)
    _take(services, "ntfy", request, (given.get("title", ""), given.get("message", ""), given))
    return web.json_response({"id": "x", "event": "message"})


async def _pushover(services: Services, request: web.Request) -> web.Response:
    given = {key: str(value) for key, value in (await request.post()).items()}
    message, title = given.get("message", ""), given.get("title", "")
    if not message or len(message) > 1024 or len(title) > 250 or not given.get("token"):
        return web.json_response({"status": 0, "errors": ["message is too long"]}, status=400)
    shown = re.sub(r"<[^<>]*>", "", message) if given.get("html") == "1" else message
    _take(services, "pover", request, (title, html.unescape(shown) if given.get("html") else shown, given))
    return web.json_response({"status": 1, "request": "x"})


async def _apprise(services: Services, request: web.Request) -> web.Response:
    if request.headers.get("X-Apprise-Config-ID") != "ops":
        return web.Response(status=204)
    given = {key: str(value) for key, value in (await request.post()).items()}
    if not given.get("body") or given.get("type") not in {"info", "success", "warning", "failure"}:
        return web.json_response({"error": "Bad Request"}, status=400)
    _take(services, "apprise", request, (given.get("title", ""), given["body"], given))
    return web.json_response({"error": None})


async def _json(services: Services, request: web.Request) -> web.Response:
    given = await request.json()
    _take(services, "json", request, (given["title"], given["message"], given))
    return web.Response(status=200)
