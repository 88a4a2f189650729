"""Signers and verifiers by profile: they authenticate the sender and protect the body's integrity.

Keys are prepared when a signer is built; signing costs one pass over the body per secret.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from bridge.core.event import Event
from bridge.core.inlet import Verifier
from bridge.core.target import Signature, WebhookTarget
from bridge.formats.registry import envelope_of
from bridge.formats.text import by_lower_name, text_of
from bridge.signing import generic
from bridge.signing.credentials import Basic, Cockpit, GitLab, HeaderToken, credentials_of
from bridge.signing.generic import (
    BodySignature,
    Generic,
    GenericCheck,
    GitHub,
    GitHubCheck,
    Splynx,
    SplynxCheck,
    Tiki,
)
from bridge.signing.shapes import (
    Signer,
    Unsigned,
    Verify,
    decoding,
    from_base64,
    from_hex,
    hash_name,
    text_keys,
)
from bridge.signing.standard import STEMS, EitherOf, Standard, StandardCheck
from bridge.signing.timestamped import Phlix, PhlixCheck, Plinqx, PlinqxCheck, Stripe, TimestampedCheck
from bridge.wire.headers import check_headers

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
"""Profiles that sign nothing, or need no secrets."""
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
"""The options that each profile leaves open; other profiles have none."""
ALL_SIGN = frozenset({"standard", "stripe"})
"""Profiles with a signature by every secret in their header; receivers accept any of them."""
SOME_SIGN_ALL = frozenset({"phlix"})
"""Profiles with one header by every secret and one by the first alone. All others sign with the first secret only."""
_OURS = frozenset(
    {"accept", "accept-encoding", "content-encoding", "content-type", "traceparent", "user-agent"}
)
"""Headers of every request, which cannot hold a signature."""


def signer(
    profile: str, secrets: Sequence[str], options: Signature, *, method: str = "POST", path: str = "/"
) -> Signer:
    """Returns the signer of a hook's profile; `path` is the URL's, percent-encoded as sent, without the query.

    `standard` is the default and may have no secret: then `webhook-id` and `webhook-timestamp` are sent for
    deduplication, without a signature, and receivers that verify reject the request. `plinqx` and `cockpit` may have no
    secret either, as in those systems. `none` accepts no secrets, since they would sign nothing.

    Raises ValueError, with a text for the operator, if secrets or options do not suit the profile.
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
    """Returns the error text for a target whose profile signs but that has no secret; "" otherwise."""
    if target.secrets or target.profile in _UNSIGNED:
        return ""
    return (
        f"profile {target.profile} signs, and there is no secret: requests go out unsigned, and every receiver that "
        "verifies refuses them; set `secrets`, or say `profile: none`"
    )


def names(profile: str, options: Signature, *, secrets: bool = True) -> frozenset[str]:
    """Returns the header names that a profile sets, in lower case; without `secrets`, `cockpit` sets none."""
    if profile == "cockpit" and not secrets:
        return frozenset()
    return _FIXED.get(profile, frozenset()) | {name.lower() for name in _named(profile, options)}


def _named(profile: str, options: Signature) -> list[str]:
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


# Verifiers of inlet requests, by type. Keys are prepared when a verifier is built; a verifier is reusable and never
# raises.


class Order(NamedTuple):
    """The arguments of a verifier: its settings, its keys as bytes, and its header or the type's default."""

    settings: Verifier
    keys: list[bytes]
    secrets: tuple[str, ...]

    def header(self, default: str) -> str:
        """Returns the configured header, else `default`."""
        return self.settings.header or default


def verifier(settings: Verifier) -> Verify:
    """Returns the verifier of these settings.

    Raises ValueError, with a text for the operator that contains no secret, for invalid secrets or options.
    """
    named = (settings.header, settings.timestamp_header, settings.id_header, settings.event_header)
    check_headers([(name, "") for name in named if name], ())
    secrets = settings.all_secrets
    keys = text_keys(secrets, empty=settings.allow_empty_secret)
    return _BUILD[settings.type](Order(settings, keys, secrets))


def _plain(order: Order) -> Verify:
    decode = from_base64 if order.settings.type == "base64" else from_hex
    return BodySignature(order.header(""), order.keys, hash_name(order.settings.algorithm), decode)


def _prefixed(order: Order) -> Verify:
    algorithm = order.settings.algorithm
    prefix = order.settings.prefix or f"{algorithm}="
    return BodySignature(order.header(""), order.keys, hash_name(algorithm), from_hex, prefix)


def _timestamped(order: Order) -> Verify:
    settings = order.settings
    return TimestampedCheck(order.header(""), order.keys, settings.tolerance, hash_name(settings.algorithm))


def _basic(order: Order) -> Verify:
    settings = order.settings
    credentials = credentials_of(order.secrets, settings.username, settings.user)
    return Basic(order.header("Authorization"), credentials)


def _cockpit(order: Order) -> Verify:
    """Returns a verifier of a custom header with a token, or of basic authentication: Cockpit sends either."""
    if order.header("Authorization").lower() == "authorization":
        return _basic(order)
    return HeaderToken(order.header(""), order.keys)


def _phlix(order: Order) -> Verify:
    name = order.header("X-Phlix-Signature")
    if name.lower().endswith("-v2"):
        name = name[:-3]
    return PhlixCheck(name, order.keys, order.settings.tolerance)


def _plinqx_check(order: Order) -> Verify:
    stamp = order.settings.timestamp_header or "X-Plinqx-Timestamp"
    return PlinqxCheck(order.header("X-Plinqx-Signature"), stamp, order.keys, order.settings.tolerance)


def _standard(order: Order) -> Verify:
    """Returns a verifier of the configured header; without one, of the headers of the standard or of Svix."""
    secrets, tolerance = order.secrets, order.settings.tolerance
    if order.settings.header:
        return StandardCheck(secrets, tolerance, order.settings.header)
    return EitherOf(*(StandardCheck(secrets, tolerance, f"{stem}signature") for stem in STEMS))


def _tiki(order: Order) -> Verify:
    settings = order.settings
    decode = decoding(settings.encoding or "base64")
    return BodySignature(order.header("Webhook-Signature"), order.keys, hash_name(settings.algorithm), decode)


_BUILD: Mapping[str, Callable[[Order], Verify]] = MappingProxyType(
    {
        "base64": _plain,
        "hex": _plain,
        "prefixed-hex": _prefixed,
        "token": lambda order: HeaderToken(order.header(""), order.keys, order.settings.prefix),
        "basic": _basic,
        "timestamped": _timestamped,
        "standard": _standard,
        "splynx": lambda order: SplynxCheck(order.header("X-Splynx-Signature"), order.keys),
        "phlix": _phlix,
        "plinqx": _plinqx_check,
        "tiki": _tiki,
        "cockpit": _cockpit,
        "github": lambda order: GitHubCheck(order.keys, order.settings.header),
        "gitlab": lambda order: GitLab(
            order.secrets, order.settings.tolerance, order.header("X-Gitlab-Token")
        ),
        "stripe": lambda order: TimestampedCheck(
            order.header("Stripe-Signature"), order.keys, order.settings.tolerance
        ),
        "generic": lambda order: GenericCheck(order.settings, order.keys),
    }
)


# The event's id and type in a profile's headers: in the sender's own terms if the event arrived as a webhook of the
# same system.


Told = Callable[[Event], tuple[str, str]]
"""The function that returns id and type of an event."""


def told_by(profile: str) -> Told:
    """Returns the id and type function of a profile; an inlet may have added a prefix to the type that it read."""
    return _TOLD.get(profile, _own)


def _own(event: Event) -> tuple[str, str]:
    return event.webhook_id or event.id, event.type


def _github(event: Event) -> tuple[str, str]:
    """Receivers compare `X-GitHub-Event` with GitHub's names and deduplicate by `X-GitHub-Delivery`."""
    webhook_id, kind = _own(event)
    headers = by_lower_name(event.message.headers)
    sent = text_of(headers.get("x-github-event"))
    if sent is None:
        return webhook_id, kind
    return text_of(headers.get("x-github-delivery")) or webhook_id, sent


def _plinqx(event: Event) -> tuple[str, str]:
    """Returns the type as in the body if the event is Plinqx's own."""
    webhook_id, kind = _own(event)
    if event.format != "plinqx":
        return webhook_id, kind
    envelope = envelope_of(event)
    named = envelope.get("event") if isinstance(envelope, dict) else None
    return webhook_id, named if isinstance(named, str) and named else kind


_TOLD: Mapping[str, Told] = {"github": _github, "plinqx": _plinqx}
