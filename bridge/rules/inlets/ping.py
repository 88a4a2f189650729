"""Splynx's question whether an endpoint is there."""

from bridge.rules.formats.parse import parse

_LONGEST = 1000


def is_ping(body: bytes) -> bool:
    """Whether the body is `{"type": "ping"}`, or the same as a form, as Splynx's stock receiver understands it."""
    if len(body) > _LONGEST:
        return False
    if body.strip() == b"type=ping":
        return True
    data = parse(body)
    return isinstance(data, dict) and data.get("type") == "ping"
