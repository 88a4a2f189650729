"""Webhooks as senders send them, and an inlet with six ordered verifiers."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

BODY = b'{"event":"contact.updated","name":"Ana Peri\xc4\x87"}'
SECRETS = {
    name: f"{name}-Geheimnis-7319" for name in ("base64", "hex", "prefixed", "token", "basic", "timestamped")
}
SIX_VERIFIERS: list[dict[str, Any]] = [
    {"type": "base64", "header": "Webhook-Signature", "secret": SECRETS["base64"], "user": "crm-bot"},
    {
        "type": "hex",
        "header": "Webhook-Signature",
        "secret": SECRETS["hex"],
        "algorithm": "sha512",
        "user": "shop",
    },
    {"type": "prefixed-hex", "header": "X-Seal", "secret": SECRETS["prefixed"], "user": "forge"},
    {"type": "token", "header": "X-Pass", "secret": SECRETS["token"], "user": "cron"},
    {"type": "basic", "username": "webmaster", "secret": SECRETS["basic"], "user": "webmaster"},
    {"type": "timestamped", "header": "X-Timed", "secret": SECRETS["timestamped"], "user": "payments"},
]
TIKI: dict[str, Any] = {
    "name": "tiki",
    "path": "/tiki-webhooks.php",
    "source": "main",
    "event_type": "tiki.webhook.received",
    "verify": SIX_VERIFIERS,
}


def mac(secret: str, content: bytes = BODY, algorithm: str = "sha256") -> hmac.HMAC:
    """The HMAC of some bytes."""
    return hmac.new(secret.encode(), content, algorithm)


def basic(user: str, password: str) -> str:
    """The value of `Authorization`."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def timestamped(secret: str, body: bytes = BODY, *, age: float = 0) -> str:
    """`t=...,v1=...`, made that many seconds ago."""
    stamp = str(int(time.time() - age))
    return f"t={stamp},v1={mac(secret, stamp.encode() + b'.' + body).hexdigest()}"


def signed_by_each(body: bytes = BODY) -> dict[str, dict[str, str]]:
    """By identity, the headers of a request that the verifier with this `user` accepts."""
    return {
        "crm-bot": {"Webhook-Signature": base64.b64encode(mac(SECRETS["base64"], body).digest()).decode()},
        "shop": {"webhook-signature": mac(SECRETS["hex"], body, "sha512").hexdigest()},
        "forge": {"X-Seal": "sha256=" + mac(SECRETS["prefixed"], body).hexdigest()},
        "cron": {"X-Pass": SECRETS["token"], "X-Copy-Of-It": f"again {SECRETS['token']}"},
        "webmaster": {"Authorization": basic("webmaster", SECRETS["basic"]), "X-Pass": "wrong"},
        "payments": {"X-Timed": timestamped(SECRETS["timestamped"], body)},
    }


def three_bad() -> list[dict[str, str]]:
    """Headers of requests that no verifier accepts."""
    return [
        {"Webhook-Signature": base64.b64encode(mac("another").digest()).decode()},
        {"X-Timed": timestamped(SECRETS["timestamped"], age=3600)},
        {"X-Pass": "", "Authorization": basic("webmaster", SECRETS["token"])},
    ]


@dataclass
class Answer:
    """What a sender is told."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def problem(self) -> Mapping[str, Any]:
        """The members of the problem that it is."""
        assert self.headers["Content-Type"] == "application/problem+json"
        found: Mapping[str, Any] = json.loads(self.text)
        return found


class Sender:
    """Sends webhooks to one server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def send(
        self, path: str, headers: Mapping[str, str] | None = None, body: Any = BODY, method: str = "POST"
    ) -> Answer:
        """Send one and read the answer."""
        async with self.session.request(
            method, self.url + path, data=body, headers=headers, skip_auto_headers=["Content-Type"]
        ) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)


@asynccontextmanager
async def sender_to(url: str) -> AsyncIterator[Sender]:
    """A sender to the server at this address."""
    async with aiohttp.ClientSession() as session:
        yield Sender(session, url)
