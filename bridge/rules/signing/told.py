"""What a profile's headers tell of an event: its id and its type, in the sender's own words where it came as a webhook of
that system.
"""

from collections.abc import Callable, Mapping

from bridge.model.event import Event
from bridge.rules.formats.envelope import envelope_of
from bridge.rules.formats.headers import by_lower_name
from bridge.rules.formats.text import text_of

Told = Callable[[Event], tuple[str, str]]
"""Id and type of an event."""


def told_by(profile: str) -> Told:
    """What the headers of this profile tell; an inlet may have put a prefix before the type that it read."""
    return _TOLD.get(profile, _own)


def _own(event: Event) -> tuple[str, str]:
    return event.webhook_id or event.id, event.type


def _github(event: Event) -> tuple[str, str]:
    """Receivers compare `X-GitHub-Event` with GitHub's names, and know a repetition by `X-GitHub-Delivery`."""
    webhook_id, kind = _own(event)
    headers = by_lower_name(event.message.headers)
    sent = text_of(headers.get("x-github-event"))
    if sent is None:
        return webhook_id, kind
    return text_of(headers.get("x-github-delivery")) or webhook_id, sent


def _plinqx(event: Event) -> tuple[str, str]:
    """Of an event of Plinqx's own the header says what its body says."""
    webhook_id, kind = _own(event)
    if event.format != "plinqx":
        return webhook_id, kind
    envelope = envelope_of(event)
    named = envelope.get("event") if isinstance(envelope, dict) else None
    return webhook_id, named if isinstance(named, str) and named else kind


_TOLD: Mapping[str, Told] = {"github": _github, "plinqx": _plinqx}
