"""The selection of a hook's body builder, once when the hook is set up."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus

import orjson

from bridge.bodies import body, profiles
from bridge.bodies.body import JSON, Body, Build, has_data, whole_body, why_no_data
from bridge.bodies.exact import php_float, to_json, unbuildable
from bridge.bodies.profiles import is_envelope, with_type
from bridge.core.delivery import Answer
from bridge.core.event import OWN_EVENTS, Event, Message
from bridge.core.hook import Hook
from bridge.core.target import WebhookTarget
from bridge.expressions.engine import EvaluationError
from bridge.expressions.template import compile_template
from bridge.formats.forms import CONTENT_TYPE
from bridge.formats.text import utc_seconds

# Form bodies in the encoding of PHP's `http_build_query`, and bodies of templates.
# Source: ext/standard/http.c and php_url_encode in ext/standard/url.c of PHP; Splynx posts its webhooks this
# way.


def form(event: Event) -> Body | Answer:
    """Returns the event's data, an object, as a form."""
    if not has_data(event):
        return unbuildable(f"{why_no_data(event)}, so there is no data to make a form of; choose `body: raw`")
    return _form(event.data)


def splynx_form(event: Event) -> Body | Answer:
    """Returns a Splynx envelope as Splynx's own webhooks post it: whole, with an empty `type` set to `event`; the
    data of other events are wrapped in an envelope.
    """
    if not has_data(event):
        return form(event)
    envelope = whole_body(event)
    return _form(
        with_type(envelope if is_envelope(envelope, event.format) else {"type": "", "data": event.data})
    )


def php_form(fields: dict[Any, Any]) -> bytes:
    """Returns `fields` as a query: `a%5Bb%5D%5B0%5D=1&c=x+y`.

    Nulls and empty lists and objects are omitted, true and false are 1 and 0. Floats have the shortest digits that
    round-trip, as with `precision` -1, where PHP's default rounds to 14 digits; integers beyond 64 bits keep their
    digits.
    """
    pairs = []
    waiting: list[tuple[str | None, Any]] = [(None, fields)]
    while waiting:  # iterative: the parser nests deeper than Python recurses
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(reversed([(_below(name, key), each) for key, each in value.items()]))
        elif isinstance(value, (list, tuple)):
            waiting.extend(reversed([(_below(name, key), each) for key, each in enumerate(value)]))
        elif value is not None:
            pairs.append(f"{name}={_encoded(_scalar(value))}")
    return "&".join(pairs).encode()


def _form(fields: Any) -> Body | Answer:
    if not isinstance(fields, dict):
        what = "a list" if isinstance(fields, list) else "no object"
        return unbuildable(f"the data is {what}, and a form has named fields; choose `body: data` or `raw`")
    return Body(php_form(fields), CONTENT_TYPE)


def _below(name: str | None, key: object) -> str:
    part = _encoded(str(key))
    return part if name is None else f"{name}%5B{part}%5D"


def _scalar(value: Any) -> str | bytes:
    match value:
        case str() | bytes():
            return value
        case bool():
            return "1" if value else "0"
        case float():
            return php_float(value, "E")
        case _:
            return str(value)


def _encoded(text: str | bytes) -> str:
    data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
    return quote_plus(data).replace("~", "%7E")


# Bodies from a hook's template.


TEXT = "text/plain; charset=utf-8"


def templated(source: str) -> Build:
    """Returns the function that builds bodies from the template.

    The content type is JSON if the result is JSON, otherwise plain text. A missing key gives a permanent Answer that
    names it. Raises ValueError for a template that cannot be compiled.
    """
    template = compile_template(source)

    def make(event: Event) -> Body | Answer:
        text = template.render(event)
        if isinstance(text, EvaluationError):
            return unbuildable(f"the template found no value: {text.detail}" if text.missing else text.detail)
        content_type = TEXT if template.is_text and not _is_json(text) else JSON
        return Body(text.encode(), content_type)

    return make


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        # orjson rejects lone surrogates, which publishers may send
        return "\\ud" in text and _is_lenient_json(text)
    return True


def _is_lenient_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


_KINDS: Mapping[str, Build] = {
    "raw": body.raw,
    "event": body.whole_event,
    "data": body.data,
    "form": form,
    "standard": profiles.standard,
    "cloudevents": profiles.structured,
    "cloudevents-binary": profiles.binary,
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
