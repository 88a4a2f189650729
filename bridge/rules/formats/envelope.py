"""What stands around an event's data; made only where somebody asks for it."""

from collections.abc import Mapping
from typing import Any

from bridge.model.event import Event
from bridge.rules.formats import cloudevents
from bridge.rules.formats.registry import FORMATS


def envelope_of(event: Event) -> Any:
    """The whole message as its format understands it: mostly the parsed body, of which `data` is a part."""
    known = FORMATS.get(event.format)
    if known is None or known.envelope is None:
        return event.parsed
    return known.envelope(event.parsed, event.message)


def attributes_of(event: Event) -> Mapping[str, Any]:
    """The attributes and extensions of a CloudEvent; of any other event none."""
    if event.format != "cloudevents":
        return {}
    return cloudevents.all_attributes(event.parsed, event.message)
