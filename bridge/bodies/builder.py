"""The selection of a hook's body builder, once when the hook is set up."""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.bodies import body, cloudevents, profiles
from bridge.bodies.body import JSON, Build
from bridge.bodies.exact import to_json
from bridge.bodies.form import form, splynx_form, templated
from bridge.core.delivery import Answer
from bridge.core.event import OWN_EVENTS, Event, Message
from bridge.core.hook import Hook
from bridge.core.target import WebhookTarget
from bridge.formats.text import utc_seconds

_KINDS: Mapping[str, Build] = {
    "raw": body.raw,
    "event": body.whole_event,
    "data": body.data,
    "form": form,
    "standard": profiles.standard,
    "cloudevents": cloudevents.structured,
    "cloudevents-binary": cloudevents.binary,
}
_OF_SPLYNX: Mapping[str, Build] = {"form": splynx_form, "raw": profiles.splynx_raw}
_SHAPES: Mapping[str, Build] = {
    "splynx": profiles.splynx,
    "phlix": profiles.phlix,
    "plinqx": profiles.plinqx,
}


def builder(kind: str | None, profile: str, *, hook: str, template: str | None = None) -> Build:
    """Returns the function that builds the bodies of a webhook with these settings `body`, `profile` and `template`.

    `kind` None is the profile's default: the message's bytes for most; see `bridge.bodies.profiles` for splynx, phlix,
    plinqx and cockpit, which sends the name of the `hook`. An explicit kind takes precedence. Raises ValueError for an
    unknown kind, and for a template that cannot be compiled.
    """
    if kind is None:
        return profiles.cockpit(hook) if profile == "cockpit" else _SHAPES.get(profile, body.raw)
    if kind == "template":
        return templated(template or "")
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is no kind of body")
    return _OF_SPLYNX.get(kind, _KINDS[kind]) if profile == "splynx" else _KINDS[kind]


# Test requests of the systems, sent to a new webhook or on request.


def ping_body(profile: str) -> bytes | None:
    """Returns the body of a ping of the profile's system, as JSON; None if the system has none.

    It is signed like any other body. Splynx's receivers answer it with 200 and `ok` before they verify the signature
    (Splynx's documentation of hooks, "Webhook").
    """
    return b'{"type":"ping"}' if profile == "splynx" else None


# Test events, with which users check whether a hook's target responds: in the system's own format or a
# generic one.


TRIAL_TYPE = "webhook.test"

Envelope = Callable[[str, Mapping[str, Any], float, str], dict[str, Any]]


def trial_event(hook: Hook, event_id: str, at: float, kind: str | None = None) -> Event:
    """Returns the test event of the hook's system, of type `webhook.test` or `kind`; `at` is in Unix seconds.

    Its data describe the test and name the hook. Profiles with their own body format build it from these data; for
    others the message is in their system's format. Splynx tests with a ping, unless a type is given.
    """
    data = {"message": f"This is a test of hook {hook.name}", "webhook_id": hook.id}
    profile = hook.target.profile if isinstance(hook.target, WebhookTarget) else ""
    if kind is None and (ping := ping_body(profile)) is not None:
        return _event(hook, event_id, at, "ping", body=ping, data={"type": "ping"})
    kind = kind or TRIAL_TYPE
    envelope = _ENVELOPES.get(profile, _standard)(kind, data, at, event_id)
    return _event(hook, event_id, at, kind, body=to_json(envelope), data=data)


def told_event(hook: Hook, event_id: str, at: float, kind: str, data: Any) -> Event:
    """Returns an event of this type whose whole body is these data (JSON values)."""
    return _event(hook, event_id, at, kind, body=to_json(data), data=data)


def _event(hook: Hook, event_id: str, at: float, kind: str, *, body: bytes | Answer, data: Any) -> Event:
    assert isinstance(body, bytes)  # data parsed from JSON can be serialized
    return Event(
        id=event_id,
        source=hook.sources[0] if hook.sources else OWN_EVENTS,
        type=kind,
        format="json",
        received_at=at,
        message=Message(body, content_type=JSON, message_id=event_id, type=kind),
        data=data,
        time=utc_seconds(at),
        publisher_id=event_id,
        webhook_id=event_id,
    )


def _standard(kind: str, data: Mapping[str, Any], at: float, _event_id: str) -> dict[str, Any]:
    return {"type": kind, "timestamp": utc_seconds(at), "data": data}


def _stripe(kind: str, data: Mapping[str, Any], at: float, event_id: str) -> dict[str, Any]:
    return {
        "id": f"evt_{event_id.replace('-', '')}",
        "object": "event",
        "created": int(at),
        "livemode": False,
        "type": kind,
        "data": {"object": data},
    }


_ENVELOPES: Mapping[str, Envelope] = {"stripe": _stripe}
