"""Somebody who operates a running bridge over its admin API."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.api_server import ApiAnswer
from tests.support.bridge_process import BridgeProcess
from tests.support.waiting import until

TOKEN = f"token-{secrets.token_hex(8)}"
HTTP = {"admin_token": TOKEN}
"""The section of a configuration that lets the operator in."""


class Operator:
    """Asks a bridge that was started with the section HTTP."""

    def __init__(self, session: aiohttp.ClientSession, bridge: BridgeProcess) -> None:
        self._session = session
        self.bridge = bridge

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> ApiAnswer:
        """The answer at a path below /api/v1; `body` is sent as JSON unless it is bytes."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(
            method,
            f"{self.bridge.url}/api/v1{path}",
            data=data,
            headers={"Authorization": f"Bearer {TOKEN}", **fields},
        ) as answer:
            text = await answer.text()
            return ApiAnswer(answer.status, answer.headers, json.loads(text) if text else None)

    async def get(self, path: str) -> Any:
        """What stands there."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.body

    async def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        """What is answered, with this status."""
        answer = await self.ask("POST", path, body)
        assert answer.status == status, answer.body
        return answer.body

    async def deliveries(self, hook: str) -> list[dict[str, Any]]:
        """All of a hook, the newest first."""
        found: list[dict[str, Any]] = (await self.get(f"/deliveries?hook={hook}"))["items"]
        return found

    async def only_delivery(self, hook: str, status: str) -> dict[str, Any]:
        """The hook's one delivery with its attempts, as soon as it has this status."""

        async def look() -> Any:
            found = await self.deliveries(hook)
            return found if [each["status"] for each in found] == [status] else None

        [delivery] = await until(look, 25, what=self.bridge.last_words)
        alone: dict[str, Any] = await self.get(f"/deliveries/{delivery['id']}")
        return alone


@asynccontextmanager
async def operating(bridge: BridgeProcess) -> AsyncIterator[Operator]:
    """An operator of this bridge; it may be killed and started again meanwhile."""
    async with aiohttp.ClientSession() as session:
        yield Operator(session, bridge)
