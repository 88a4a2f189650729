"""Signature headers by profile: who sent a body, and that it is whole.

The secrets are prepared when a signer is built; signing costs one pass over the body per secret.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from bridge.model.target import Signature, WebhookTarget
from bridge.rules.signing import generic
from bridge.rules.signing.credentials import Cockpit
from bridge.rules.signing.digests import GitHub, Splynx, Tiki, Unsigned
from bridge.rules.signing.generic import Generic
from bridge.rules.signing.shapes import Signer
from bridge.rules.signing.standard import Standard
from bridge.rules.signing.timestamped import Phlix, Plinqx, Stripe
from bridge.rules.wire.headers import check_headers

_BY_SECRETS: Mapping[str, Callable[[Sequence[str]], Signer]] = MappingProxyType(
    {
        "splynx": Splynx,
        "phlix": Phlix,
        "plinqx": Plinqx,
        "github": GitHub,
        "cockpit": Cockpit,
    }
)
_FIXED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "standard": frozenset({"webhook-id", "webhook-timestamp", "webhook-signature"}),
        "splynx": frozenset({"x-splynx-signature"}),
        "phlix": frozenset({"x-phlix-signature", "x-phlix-signature-v2"}),
        "plinqx": frozenset({"x-plinqx-signature", "x-plinqx-timestamp", "x-plinqx-event"}),
        "github": frozenset(
            {"x-hub-signature-256", "x-hub-signature", "x-github-event", "x-github-delivery"}
        ),
        "cockpit": frozenset({"authorization"}),
        "none": frozenset(),
    }
)
_UNSIGNED = frozenset({"none", "cockpit"})
"""Profiles that sign nothing, or need no credentials."""
_DEFAULT_HEADER: Mapping[str, str] = MappingProxyType(
    {"tiki": "Webhook-Signature", "stripe": "Stripe-Signature", "generic": generic.DEFAULT_HEADER}
)
_OPEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "standard": frozenset({"event_header"}),
        "tiki": frozenset({"header", "algorithm", "encoding"}),
        "stripe": frozenset({"header"}),
        "generic": frozenset(Signature.model_fields),
    }
)
"""What a profile leaves to the options; the others leave nothing."""
ALL_SIGN = frozenset({"standard", "stripe"})
"""Profiles whose headers hold a signature by every secret; receivers with any of them are content."""
SOME_SIGN_ALL = frozenset({"phlix"})
"""Those that have a header by every secret, and one by the first alone. All others sign by the first alone."""
_OURS = frozenset(
    {"accept", "accept-encoding", "content-encoding", "content-type", "traceparent", "user-agent"}
)
"""Sent with every request, so no signature can stand there."""


def signer(
    profile: str, secrets: Sequence[str], options: Signature, *, method: str = "POST", path: str = "/"
) -> Signer:
    """The signer of a hook's profile; `path` is the URL's, percent-encoded as it is sent, without the query.

    `standard` is the default and may go without a secret: then `webhook-id` and `webhook-timestamp` are sent,
    for deduplication, and no signature, which every receiver that verifies refuses. `plinqx` and `cockpit` may go
    without one too, as those systems do. `none` takes no secrets, since they would sign nothing.

    Raises ValueError, with a text for the operator, when secrets or options do not fit the profile.
    """
    _check(profile, options)
    if profile in _BY_SECRETS:
        return _BY_SECRETS[profile](secrets)
    header = options.header or _DEFAULT_HEADER.get(profile, "")
    match profile:
        case "standard":
            return Standard(secrets, options.event_header)
        case "tiki":
            return Tiki(secrets, header, options.algorithm, options.encoding or "base64")
        case "stripe":
            return Stripe(secrets, header)
        case "generic":
            return Generic(secrets, options, method, path)
    if secrets:
        raise ValueError("profile none signs nothing: leave out the secrets or choose another profile")
    return Unsigned()


def unsigned(target: WebhookTarget) -> str:
    """What is wrong with a target whose profile signs and that has no secret to sign with; empty: nothing."""
    if target.secrets or target.profile in _UNSIGNED:
        return ""
    return (
        f"profile {target.profile} signs, and there is no secret: requests go out unsigned, and every receiver that "
        "verifies refuses them; set `secrets`, or say `profile: none`"
    )


def names(profile: str, options: Signature, *, secrets: bool = True) -> frozenset[str]:
    """The header names that a profile sets, in lower case; without `secrets`, `cockpit` sets none."""
    if profile == "cockpit" and not secrets:
        return frozenset()
    return _FIXED.get(profile, frozenset()) | {name.lower() for name in _named(profile, options)}


def _named(profile: str, options: Signature) -> list[str]:
    """The headers whose names are free, as they are written."""
    own = (options.header or _DEFAULT_HEADER.get(profile), options.timestamp_header, options.id_header)
    return [name for name in (*own, options.event_header) if name]


def _check(profile: str, options: Signature) -> None:
    if profile not in _FIXED and profile not in _DEFAULT_HEADER:
        raise ValueError(f"{profile!r} is no profile")
    fields = Signature.model_fields
    set_ = {name for name, field in fields.items() if getattr(options, name) != field.default}
    if closed := sorted(set_ - _OPEN.get(profile, frozenset())):
        raise ValueError(f"profile {profile} has its own way of `{closed[0]}`, which cannot be chosen")
    named = _named(profile, options)
    check_headers([(name, "") for name in named], _OURS | _FIXED.get(profile, frozenset()))
    if len({name.lower() for name in named}) < len(named):
        raise ValueError("two of the signature's headers have the same name")
