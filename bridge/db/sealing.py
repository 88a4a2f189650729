"""What is secret at rest: sealed with AES-256-GCM, each piece with the id of its key, so that keys can be changed."""

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.core.errors import Problem, SettingsError

_FORM = b"\x01"
_ID, _NONCE = 8, 12
_HEAD = len(_FORM) + _ID
_PURPOSE = b"amqp-bridge storage.encryption_keys"


class Sealer:
    """Seals with the first of its keys, and opens what any of them sealed."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Any texts; without one nothing can be sealed."""
        self._keys = {_derived(key, b" id", _ID): AESGCM(_derived(key, b"", 32)) for key in reversed(keys)}
        self._newest = _derived(keys[0], b" id", _ID) if keys else None

    def seal(self, clear: bytes, about: str) -> bytes:
        """`clear`, to be opened with the same `about` only; raises SettingsError where there is no key."""
        if self._newest is None:
            raise _no_key("there is no key to seal secrets with: set storage.encryption_keys")
        nonce = os.urandom(_NONCE)
        sealed = self._keys[self._newest].encrypt(nonce, clear, about.encode())
        return _FORM + self._newest + nonce + sealed

    def open(self, sealed: bytes, about: str) -> bytes:
        """What was sealed; raises SettingsError where its key is not given, or it is no longer what was sealed."""
        key = self._keys.get(sealed[len(_FORM) : _HEAD]) if sealed.startswith(_FORM) else None
        if key is None:
            raise _no_key(
                f"{about} is sealed with a key that is not given: add the key it was sealed with at the end of "
                "storage.encryption_keys (without such a setting that was http.admin_token)"
            )
        try:
            return key.decrypt(sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :], about.encode())
        except InvalidTag:
            raise _no_key(
                f"what is stored of {about} was changed by somebody else, and cannot be opened"
            ) from None

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the first key sealed it."""
        return self._newest is not None and sealed.startswith(_FORM + self._newest)


def _derived(key: str, what: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=_PURPOSE + what).derive(
        key.encode(errors="surrogateescape")
    )


def _no_key(message: str) -> SettingsError:
    return SettingsError([Problem("storage.encryption_keys", message)])
