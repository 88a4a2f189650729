"""An OAuth2 token endpoint on a real socket: it gives t1, t2, ... as long as nobody scripts it otherwise."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.support.receiver import Conversation, Receiver, Request, receiving, response


def granting(token: str, **fields: Any) -> bytes:
    """An answer with a token."""
    whole = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, **fields}
    return json_answer(200, {name: value for name, value in whole.items() if value is not None})


def json_answer(status: int, fields: Any, **headers: str) -> bytes:
    """An answer whose body is JSON; `Retry_After="5"` becomes the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return response(status, json.dumps(fields).encode(), {"Content-Type": "application/json", **named})


@dataclass
class TokenEndpoint:
    """What was asked of it; `script` holds answers to be given first, `go` lets them out; `make` makes tokens."""

    receiver: Receiver = field(default_factory=Receiver)
    script: list[bytes] = field(default_factory=list)
    life: Any = 3600
    go: asyncio.Event = field(default_factory=asyncio.Event)
    given: int = 0
    make: Callable[[int], str] = "t{}".format

    @property
    def url(self) -> str:
        """The address of the endpoint, which has a query as RFC 6749 allows."""
        return f"{self.receiver.scheme}://127.0.0.1:{self.receiver.port}/token?tenant=1"

    @property
    def requests(self) -> list[Request]:
        """What came in."""
        return self.receiver.requests

    def forms(self) -> list[dict[str, str]]:
        """The forms that came in, decoded."""
        return [
            {name: value for name, (value,) in parse_qs(request.body.decode(), strict_parsing=True).items()}
            for request in self.requests
        ]

    async def serve(self, conversation: Conversation) -> None:
        """One connection."""
        while True:
            await conversation.request()
            await self.go.wait()
            await conversation.send(self.script.pop(0) if self.script else self._next())

    def _next(self) -> bytes:
        self.given += 1
        return granting(self.make(self.given), expires_in=self.life)


@contextlib.asynccontextmanager
async def token_endpoint(
    *script: bytes, life: Any = 3600, tls: ssl.SSLContext | None = None
) -> AsyncIterator[TokenEndpoint]:
    """A token endpoint that gives these answers first."""
    endpoint = TokenEndpoint(script=list(script), life=life)
    endpoint.go.set()
    async with receiving(endpoint.serve, tls) as endpoint.receiver:
        yield endpoint
