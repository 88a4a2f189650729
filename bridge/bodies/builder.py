"""The function that makes a hook's bodies, chosen once when the hook is set up."""

from collections.abc import Mapping

from bridge.bodies import body, cloudevents, profiles
from bridge.bodies.body import Build
from bridge.bodies.form import form, splynx_form, templated

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
    """The function that makes the bodies of a webhook with these settings `body`, `profile` and `template`.

    `kind` None is the shape that belongs to the profile: the message's own bytes for most; see
    `bridge.bodies.profiles` for splynx, phlix, plinqx and cockpit, of which the last tells the name of the
    `hook`. A kind that is given always wins.
    Raises ValueError for what is no kind, and for a template that cannot be compiled.
    """
    if kind is None:
        return profiles.cockpit(hook) if profile == "cockpit" else _SHAPES.get(profile, body.raw)
    if kind == "template":
        return templated(template or "")
    if kind not in _KINDS:
        raise ValueError(f"{kind!r} is no kind of body")
    return _OF_SPLYNX.get(kind, _KINDS[kind]) if profile == "splynx" else _KINDS[kind]


# What a system sends to a new webhook, or when somebody asks, to see whether it is there.


def ping_body(profile: str) -> bytes | None:
    """The body of a ping as the profile's system sends it, as JSON; None where the system knows no such thing.

    It is signed like any other body. Splynx's receivers answer it with 200 and `ok` before they look at the
    signature (Splynx's documentation of hooks, "Webhook").
    """
    return b'{"type":"ping"}' if profile == "splynx" else None
