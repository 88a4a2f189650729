"""/openapi.json and /docs: whole, valid, and in need of nothing else."""

import re
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha256
from html.parser import HTMLParser

import jsonschema_rs
import pytest

from bridge.history.history import SqlHistory
from bridge.settings.tree import Http
from tests.support.api_server import ServedApi, serving_api


@pytest.fixture
async def api(history: SqlHistory) -> AsyncIterator[ServedApi]:
    async with serving_api(history) as served:
        yield served


class Page(HTMLParser):
    """What a page refers to, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.elements.add(tag)
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named[name] for name in ("href", "src") if name in named]
        assert "style" not in named
        assert not [name for name in named if name.startswith("on")]
        if tag not in {"meta", "br", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


async def fetched(api: ServedApi, path: str) -> tuple[str, dict[str, str]]:
    async with api.client.session.get(f"{api.client.url}{path}") as answer:
        assert answer.status == 200
        return await answer.text(), dict(answer.headers)


async def test_the_page_loads_nothing_and_runs_nothing(api: ServedApi):
    text, headers = await fetched(api, "/docs")
    page = Page(text)
    assert page.open == []
    assert not page.elements & {"script", "img", "iframe", "link", "form", "object"}
    assert [link for link in page.links if not link.startswith("#")] == ["openapi.json"]
    [style] = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = headers["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


async def test_every_link_of_the_page_leads_somewhere_and_every_operation_is_on_it(api: ServedApi):
    page = Page((await fetched(api, "/docs"))[0])
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert {operation.name for operation in api.api.operations()} <= set(page.ids)


async def test_the_description_names_every_operation_and_all_its_schemas_are_valid(api: ServedApi):
    async with api.client.session.get(f"{api.client.url}/openapi.json") as answer:
        document = await answer.json()
    assert document["openapi"].startswith("3.1.")
    found = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
    assert {(each.method, f"/api{each.path}") for each in api.api.operations()} <= found
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        assert name in set(re.findall(r"[A-Za-z0-9._-]+", name))
    targets = set(re.findall(r'"#/components/(\w+)/([^"]+)"', str(document).replace("'", '"')))
    assert [(kind, name) for kind, name in targets if name not in document["components"][kind]] == []


async def test_with_admin_listen_both_answer_only_there(history: SqlHistory):
    async with serving_api(history, http=Http(listen="127.0.0.1:0", admin_listen="127.0.0.1:0")) as api:
        for path in ("/docs", "/openapi.json"):
            await fetched(api, path)
            async with api.client.session.get(f"{api.server.addresses['http']}{path}") as answer:
                assert answer.status == 404
