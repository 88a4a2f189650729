"""What an inlet vouches for stands above what a body claims."""

from dataclasses import dataclass
from typing import Any

from bridge.core.event import Event, Message, Source
from bridge.formats.decoder import Decoder

PING = b'{"type":"ping"}'


@dataclass(frozen=True)
class Said:
    """What an inlet says of one message."""

    event_type: str | None = None
    identity: str | None = None
    webhook_id: str | None = None


class Inlets:
    """Believes what stands in the header of inlets."""

    def read(self, message: Message) -> Said | None:
        told = message.headers["x-bridge-inlet"]
        return Said(**told) if isinstance(told, dict) else None


def decoded(inlet: Any, **options: Any) -> Event:
    decoder = Decoder(Source(name="crm", queue="q", format="splynx"), **options)
    message = Message(PING, routing_key="q", headers={"x-bridge-inlet": inlet, "own": 1})
    event = decoder.decode(message, new_id=lambda: "0197", received_at=1.5).event
    assert isinstance(event, Event)
    return event


def test_type_and_identity_come_from_the_inlet():
    event = decoded({"event_type": "tiki.webhook.received", "identity": "crm-bot"}, arrivals=Inlets())
    assert (event.type, event.identity) == ("tiki.webhook.received", "crm-bot")


def test_without_a_type_of_the_inlet_the_format_tells_it():
    event = decoded({"identity": "crm-bot"}, arrivals=Inlets())
    assert (event.type, event.identity) == ("ping", "crm-bot")


def test_a_mark_that_no_inlet_of_ours_made_says_nothing():
    assert decoded("forged", arrivals=Inlets()).identity is None
    assert decoded({"event_type": "forged", "identity": "root"}).identity is None


def test_the_mark_is_no_header_of_the_event():
    assert dict(decoded({"identity": "crm-bot"}, arrivals=Inlets()).message.headers) == {"own": 1}


def test_a_type_of_the_inlet_is_cut_to_what_fits():
    event = decoded({"event_type": "x\n" * 300}, arrivals=Inlets())
    assert len(event.type.encode()) <= 255
    assert "\n" not in event.type
