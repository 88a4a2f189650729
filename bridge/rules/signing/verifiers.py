"""Verifiers of requests that come in, by type.

The secrets are prepared when a verifier is built; it may then be called any number of times and never raises.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from bridge.model.inlet import Verifier
from bridge.rules.signing.body_checks import BodySignature, GitHub, Splynx
from bridge.rules.signing.credential_checks import Basic, GitLab, Token, credentials_of
from bridge.rules.signing.generic_check import Generic
from bridge.rules.signing.keys import hash_name, text_keys
from bridge.rules.signing.reading import decoding, from_base64, from_hex
from bridge.rules.signing.shapes import Verify
from bridge.rules.signing.standard_checks import STEMS, EitherOf, Standard
from bridge.rules.signing.timed_checks import Phlix, Plinqx, Timestamped
from bridge.rules.wire.headers import check_headers


class Order(NamedTuple):
    """What a verifier is built of: its settings, the bytes of its secrets, its header or the type's own."""

    settings: Verifier
    keys: list[bytes]
    secrets: tuple[str, ...]

    def header(self, default: str) -> str:
        """The header of the settings, else `default`."""
        return self.settings.header or default


def verifier(settings: Verifier) -> Verify:
    """The verifier of these settings.

    Raises ValueError, with a text for the operator that holds no secret, when secrets or options cannot work.
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
    return Timestamped(order.header(""), order.keys, settings.tolerance, hash_name(settings.algorithm))


def _basic(order: Order) -> Verify:
    settings = order.settings
    credentials = credentials_of(order.secrets, settings.username, settings.user)
    return Basic(order.header("Authorization"), credentials)


def _cockpit(order: Order) -> Verify:
    """A header of its own with a token in it, or basic authentication: Cockpit can send both."""
    if order.header("Authorization").lower() == "authorization":
        return _basic(order)
    return Token(order.header(""), order.keys)


def _phlix(order: Order) -> Verify:
    name = order.header("X-Phlix-Signature")
    if name.lower().endswith("-v2"):
        name = name[:-3]
    return Phlix(name, order.keys, order.settings.tolerance)


def _plinqx(order: Order) -> Verify:
    stamp = order.settings.timestamp_header or "X-Plinqx-Timestamp"
    return Plinqx(order.header("X-Plinqx-Signature"), stamp, order.keys, order.settings.tolerance)


def _standard(order: Order) -> Verify:
    """Without a header named, that of the standard or that of Svix, whose senders had it before there was one."""
    secrets, tolerance = order.secrets, order.settings.tolerance
    if order.settings.header:
        return Standard(secrets, tolerance, order.settings.header)
    return EitherOf(*(Standard(secrets, tolerance, f"{stem}signature") for stem in STEMS))


def _tiki(order: Order) -> Verify:
    settings = order.settings
    decode = decoding(settings.encoding or "base64")
    return BodySignature(order.header("Webhook-Signature"), order.keys, hash_name(settings.algorithm), decode)


_BUILD: Mapping[str, Callable[[Order], Verify]] = MappingProxyType(
    {
        "base64": _plain,
        "hex": _plain,
        "prefixed-hex": _prefixed,
        "token": lambda order: Token(order.header(""), order.keys, order.settings.prefix),
        "basic": _basic,
        "timestamped": _timestamped,
        "standard": _standard,
        "splynx": lambda order: Splynx(order.header("X-Splynx-Signature"), order.keys),
        "phlix": _phlix,
        "plinqx": _plinqx,
        "tiki": _tiki,
        "cockpit": _cockpit,
        "github": lambda order: GitHub(order.keys, order.settings.header),
        "gitlab": lambda order: GitLab(
            order.secrets, order.settings.tolerance, order.header("X-Gitlab-Token")
        ),
        "stripe": lambda order: Timestamped(
            order.header("Stripe-Signature"), order.keys, order.settings.tolerance
        ),
        "generic": lambda order: Generic(order.settings, order.keys),
    }
)
