"""The type that a sender's own scheme puts into the body."""

from bridge.rules.formats.parse import parse
from bridge.rules.formats.text import event_type

_LONGEST = 1024 * 1024
"""Bytes of a body that are parsed while others wait; no event of these schemes has more."""


def type_in_body(scheme: str, body: bytes) -> str:
    """The event's type, empty where the body tells none, or where `scheme`, a verifier's type, promises none.

    Stripe's events have it under `type`; so have the bodies that Standard Webhooks recommends, which are known by
    their `timestamp` and `data` beside it. Sources: Stripe's API reference, "The Event object"; the specification
    of Standard Webhooks, "Payload structure".
    """
    if scheme not in {"stripe", "standard"} or len(body) > _LONGEST:
        return ""
    data = parse(body)
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        return ""
    if scheme == "standard" and not {"timestamp", "data"} <= data.keys():
        return ""
    return event_type(data["type"])
