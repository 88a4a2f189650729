"""Notify targets over the stand-ins, for tests."""

from typing import Any

from bridge.core.target import NotifyTarget as Settings
from bridge.targets.notify.target import NotifySender
from bridge.wire.address_gate import AddressGate
from tests.support.events import delivery
from tests.support.services import Services


def settings(*urls: str, **given: Any) -> Settings:
    return Settings.model_validate({"type": "notify", "urls": urls, **given})


def notify(
    *urls: str, services: Services | None = None, allow: tuple[str, ...] = ("127.0.0.0/8",), **given: Any
) -> NotifySender:
    """A target that may dial loopback; `services` gives its base URLs."""
    if services is not None:
        given = {"endpoints": services.endpoints()} | given
    return NotifySender(settings(*urls, **given), AddressGate(allow), 4, "ops")


def event(text: str = "hello", title: str = "", **fields: Any) -> Any:
    """A delivery whose data has `text` and `title`."""
    return delivery(parse=False, data={"text": text, "title": title}, **fields)
