"""The selection of a hook's body builder, once when the hook is set up."""

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
