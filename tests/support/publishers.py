"""Messages as publishers send them, from `tests/data/publishers`: whole ones, and bodies by system."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.core.event import Event, Message, Received, Source
from bridge.formats.decoder import Decoder

FOLDER = Path(__file__).parents[1] / "data" / "publishers"


def message(name: str) -> Message:
    """The sample `<name>.json`: a message with exchange, routing key, properties, headers and body."""
    told = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    properties = dict(told["properties"])
    properties.pop("delivery_mode", None)
    if seconds := properties.pop("timestamp", None):
        properties["timestamp"] = datetime.fromtimestamp(seconds, UTC)
    body = told["body"]
    return Message(
        body=body.encode() if isinstance(body, str) else json.dumps(body).encode(),
        exchange=told["exchange"],
        routing_key=told["routing_key"],
        headers=told["headers"],
        **properties,
    )


def sent(body: Any, **properties: Any) -> Message:
    """A message with this body, written as JSON."""
    return Message(body=json.dumps(body).encode(), **properties)


def decoded(message: Message, form: str = "auto", timezone: str = "UTC") -> Received:
    """What a source of this format makes of the message."""
    source = Source.model_validate({"name": "crm", "queue": "q", "format": form, "timezone": timezone})
    return Decoder(source).decode(message, new_id=lambda: "0197", received_at=0.0)


def event(message: Message, form: str = "auto", timezone: str = "UTC") -> Event:
    """The one event in the message."""
    found = decoded(message, form, timezone).event
    assert isinstance(found, Event)
    return found


def facts(event: Event) -> tuple[str, str, str | None, str | None]:
    """Format, type, publisher's id and time."""
    return event.format, event.type, event.publisher_id, event.time
