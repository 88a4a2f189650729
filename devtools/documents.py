"""JSON Schemas of what is published and delivered: events, deliveries, and every system's envelope."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from bridge.core.envelopes import envelope_schema, json_schema
from bridge.deliveries.documents import DeliveryDocument
from bridge.events.documents import EventDocument
from devtools.settings_docs import DIALECT


def event_schema_text() -> str:
    """JSON Schema of an event as receivers get it."""
    return _text("amqp-bridge event", json_schema(EventDocument))


def delivery_schema_text() -> str:
    """JSON Schema of a delivery, in a list or alone."""
    return _text("amqp-bridge delivery", json_schema(DeliveryDocument))


def _envelope(name: str, title: str) -> str:
    return _text(title, envelope_schema(name))


def _text(title: str, schema: dict[str, Any]) -> str:
    return (
        json.dumps({"$schema": DIALECT, "title": title, **_without(schema)}, indent=2, ensure_ascii=False)
        + "\n"
    )


def _without(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}


splynx_schema_text: Callable[[], str] = partial(_envelope, "splynx", "Splynx event")
phlix_schema_text: Callable[[], str] = partial(_envelope, "phlix", "Phlix event")
plinqx_schema_text: Callable[[], str] = partial(_envelope, "plinqx", "Plinqx event")
cockpit_schema_text: Callable[[], str] = partial(_envelope, "cockpit", "Cockpit event")
tiki_schema_text: Callable[[], str] = partial(_envelope, "tiki", "Request to Tiki")
cloudevents_schema_text: Callable[[], str] = partial(_envelope, "cloudevents", "CloudEvent")
