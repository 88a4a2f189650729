"""Every operation of a running bridge: closed without a token, closed to a lower role, and documented."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.api_server import ApiClient
from tests.support.scene import Scene

DOCS = Path(__file__).parents[2] / "docs" / "api.md"
TOKEN = "e2e-Geheimnis-4471"
ROLES = ["viewer", "operator", "admin"]
OPEN = {"/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"}

Operation = tuple[str, str, str]
"""Method, path and role."""


@pytest.fixture
async def served(scene: Scene) -> AsyncIterator[tuple[ApiClient, dict[str, Any]]]:
    """A client with the admin's token, and the description that the bridge gives."""
    async with (
        scene.bridge([scene.webhook("crm")], await scene.queue(), http={"admin_token": TOKEN}) as bridge,
        aiohttp.ClientSession() as session,
    ):
        document = json.loads(await bridge._get("/openapi.json"))
        yield ApiClient(session, bridge.url, TOKEN), document


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    """Those that want a token."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            if path.startswith("/api/"):
                yield method.upper(), path, told["x-role"]


async def statuses(client: ApiClient, wanted: list[Operation], token: str | None) -> dict[Operation, int]:
    """What each is answered with."""
    client.token = token
    return {
        (method, path, role): (
            await client.ask(path.removeprefix("/api/v1").replace("{id}", "nobody"), method=method)
        ).status
        for method, path, role in wanted
    }


async def test_no_operation_answers_without_a_token_or_to_a_lower_role(
    served: tuple[ApiClient, dict[str, Any]],
):
    client, document = served
    every = list(operations(document))
    assert len(every) > 40
    tokens = {}
    for role in ROLES[:2]:
        tokens[role] = (await client.send("POST", "/tokens", {"name": role, "role": role})).body["token"]
    assert set((await statuses(client, every, None)).values()) == {401}
    for role, token in tokens.items():
        above = [each for each in every if ROLES.index(each[2]) > ROLES.index(role)]
        assert set((await statuses(client, above, token)).values()) == {403}
        within = [each for each in every if each[2] in ROLES[: ROLES.index(role) + 1] and each[0] == "GET"]
        assert not {401, 403}.intersection((await statuses(client, within, token)).values())
    client.token = TOKEN
    changed = {entry["action"] for entry in (await client.get("/audit"))["items"]}
    assert changed == {"tokens.create"}


async def test_what_is_open_is_open_and_nothing_else_is(served: tuple[ApiClient, dict[str, Any]]):
    client, document = served
    found = {
        path
        for path, methods in document["paths"].items()
        for each in methods.values()
        if each.get("security") == []
    }
    assert found == OPEN | {"/in/{inlet}"}
    for path in OPEN:
        async with client.session.get(f"{client.url}{path}") as answer:
            assert answer.status == 200


async def test_every_operation_stands_in_the_document_of_the_api(served: tuple[ApiClient, dict[str, Any]]):
    documented = set(documented_in(DOCS.read_text(encoding="utf-8")))
    assert [each for each in operations(served[1]) if each[:2] not in documented] == []
    assert documented <= {each[:2] for each in operations(served[1])}


def documented_in(text: str) -> Iterator[tuple[str, str]]:
    """Methods and paths of the table: further paths of a row may be written as their ends."""
    for row in re.findall(r"^\| (`[^|]*/api/v1/[^|]*) \|", text, re.MULTILINE):
        methods: list[str] = []
        base = ""
        for words in (piece.split() for piece in re.findall("`([^`]+)`", row)):
            if words[0].isupper():
                methods = [*methods, words[0]] if not base else [words[0]]
            if words[-1].startswith("/api/"):
                base = words[-1]
                path = base
            elif words[-1].startswith("/"):
                path = base + words[-1]
            elif words[-1].isupper():
                continue
            else:
                path = f"{base.rpartition('/')[0]}/{words[-1]}"
            yield from ((method, path) for method in methods)
