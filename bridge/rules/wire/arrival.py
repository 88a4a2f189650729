"""What an inlet says of the messages that it publishes, and why its word can be trusted.

Whoever may write to a source's queue may write any header. So an identity counts only with a proof beside it: an
HMAC over the body that takes a secret of the verifiers which give this identity. So does an id that receivers are to
see: with the id of another event they would drop one of the two.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from bridge.model.event import Message
from bridge.model.inlet import Inlet, Verifier
from bridge.model.value import value
from bridge.rules.wire.copies import INLET

_PURPOSE = b"amqp-bridge: identity of an inlet's message, version 1"
_PURPOSE_OF_IDS = b"amqp-bridge: webhook-id of an inlet's message, version 1"
_PUBLIC_KEY = "whpk_"


@value(frozen=True, slots=True)
class Arrival:
    """What an inlet vouches for; None where it says nothing, or where `identity` or `webhook_id` lack their proof."""

    event_type: str | None
    identity: str | None
    webhook_id: str | None = None


def identity_keys(source: str, inlet: Inlet, verifier: Verifier) -> list[bytes]:
    """The keys that prove the verifier's `user` in messages to `source`, the one to use first; may be empty.

    A public key proves nothing to others, so for a verifier that has no other the inlet's remaining secrets serve.
    """
    if verifier.user is None:
        return []
    return _derived(inlet, verifier, _PURPOSE, source, inlet.name, verifier.user)


def id_keys(source: str, inlet: Inlet, verifier: Verifier) -> list[bytes]:
    """The keys that prove the `webhook-id` of a sender of Standard Webhooks, as `identity_keys`."""
    if verifier.type != "standard":
        return []
    return _derived(inlet, verifier, _PURPOSE_OF_IDS, source, inlet.name)


def _derived(inlet: Inlet, verifier: Verifier, purpose: bytes, *names: str) -> list[bytes]:
    secrets = _private(verifier.all_secrets) or [
        secret for other in inlet.verify for secret in _private(other.all_secrets)
    ]
    name = _joined(purpose, *map(_octets, names))
    return [hmac.digest(_octets(secret), name, "sha256") for secret in secrets]


def mark(
    inlet: str,
    method: str,
    path: str,
    event_type: str | None,
    *,
    identity: tuple[str, bytes, bytes] | None,
    webhook_id: tuple[str, bytes, bytes] | None = None,
) -> dict[str, Any]:
    """The table for the header `x-bridge-inlet`; `identity` is the user, the key that proves it, and the body, and so is
    `webhook_id` for the id.
    """
    table: dict[str, Any] = {"name": inlet, "method": method, "path": path}
    if event_type:
        table["type"] = event_type
    if identity is not None:
        user, key, body = identity
        table |= {"identity": user, "proof": _proof(key, sha256(body).digest())}
    if webhook_id is not None:
        sent, key, body = webhook_id
        table |= {"id": sent, "id-proof": _proof(key, _joined(_octets(sent), sha256(body).digest()))}
    return table


class Arrivals:
    """Reads the marks in the messages of one source."""

    def __init__(self, source: str, inlets: Iterable[Inlet]) -> None:
        """`inlets`: all there are; those of other sources vouch for nothing here."""
        self._keys: dict[tuple[str, str], list[bytes]] = {}
        self._id_keys: dict[str, list[bytes]] = {}
        for inlet in inlets:
            if inlet.source != source:
                continue
            for verifier in inlet.verify:
                self._id_keys.setdefault(inlet.name, []).extend(id_keys(source, inlet, verifier))
                if verifier.user is not None:
                    keys = self._keys.setdefault((inlet.name, verifier.user), [])
                    keys += identity_keys(source, inlet, verifier)

    def read(self, message: Message) -> Arrival | None:
        """What an inlet vouches for in a whole message as it was published; never raises.

        The type needs no proof: whoever may write to the queue may also choose a body. A secret that is no longer
        listed proves nothing any more, also in messages that waited.
        """
        table = message.headers.get(INLET)
        if not isinstance(table, Mapping):
            return None
        kind = table.get("type")
        return Arrival(
            kind if isinstance(kind, str) and kind else None,
            self._proven_identity(table, message.body),
            self._proven_id(table, message.body),
        )

    def _proven_identity(self, table: Mapping[str, Any], body: bytes) -> str | None:
        inlet, user = table.get("name"), table.get("identity")
        if not (isinstance(inlet, str) and isinstance(user, str)):
            return None
        keys = self._keys.get((inlet, user))
        return user if keys and _proves(keys, sha256(body).digest(), table.get("proof")) else None

    def _proven_id(self, table: Mapping[str, Any], body: bytes) -> str | None:
        inlet, sent = table.get("name"), table.get("id")
        if not (isinstance(inlet, str) and isinstance(sent, str)):
            return None
        keys = self._id_keys.get(inlet)
        claim = _joined(_octets(sent), sha256(body).digest())
        return sent if keys and _proves(keys, claim, table.get("id-proof")) else None


def _private(secrets: Sequence[str]) -> list[str]:
    return [secret for secret in secrets if not secret.startswith(_PUBLIC_KEY)]


def _proves(keys: Sequence[bytes], claim: bytes, proof: Any) -> bool:
    if not isinstance(proof, str):
        return False
    claimed = _octets(proof)
    return sum(hmac.compare_digest(_proof(key, claim).encode(), claimed) for key in keys) > 0


def _octets(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _proof(key: bytes, claim: bytes) -> str:
    return hmac.digest(key, claim, "sha256").hex()


def _joined(*parts: bytes) -> bytes:
    """Each part behind its length, so that no two lists give the same bytes."""
    return b"".join(b"%d:%s" % (len(part), part) for part in parts)
