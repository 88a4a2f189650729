"""The function that makes a hook's bodies, chosen once when the hook is set up."""

from bridge.rules.bodies import body, profiles
from bridge.rules.bodies.body import Build
from bridge.rules.bodies.form import form, splynx_form
from bridge.rules.bodies.templated import templated


def builder(kind: str | None, profile: str, *, hook: str, template: str | None = None) -> Build:
    """The function that makes the bodies of a webhook with these settings `body`, `profile` and `template`.

    `kind` None is the shape that belongs to the profile: the message's own bytes for most; see
    `bridge.rules.bodies.profiles` for splynx, phlix, plinqx and cockpit, of which the last tells the name of the
    `hook`. A kind that is given always wins.
    Raises ValueError for what is no kind, and for a template that cannot be compiled.
    """
    match kind:
        case None:
            return _shape(profile, hook)
        case "raw":
            return body.raw
        case "data":
            return body.data
        case "event":
            return body.whole_event
        case "form":
            return splynx_form if profile == "splynx" else form
        case "template":
            return templated(template or "")
    raise ValueError(f"{kind!r} is no kind of body")


def _shape(profile: str, hook: str) -> Build:
    match profile:
        case "splynx":
            return profiles.splynx
        case "phlix":
            return profiles.phlix
        case "plinqx":
            return profiles.plinqx
        case "cockpit":
            return profiles.cockpit(hook)
    return body.raw
