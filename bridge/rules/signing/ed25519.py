"""Keys of Standard Webhooks' asymmetric scheme v1a.

Imported only where a hook or an inlet has such a key: the library behind it takes 30 ms to load.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SEED = 32
PUBLIC = 32


def private_key(key: bytes) -> Ed25519PrivateKey:
    """The key of a 32-byte seed, or of 64 bytes: the seed and the public key after it, as Svix writes it.

    Raises ValueError for another length, and for halves that do not belong together.
    """
    if len(key) not in (SEED, SEED + PUBLIC):
        raise ValueError(
            f"a whsk_ secret holds {len(key)} bytes; an ed25519 key has 32, or 64 with its public half"
        )
    private = Ed25519PrivateKey.from_private_bytes(key[:SEED])
    if key[SEED:] and private.public_key().public_bytes_raw() != key[SEED:]:
        raise ValueError("the two halves of a whsk_ secret do not belong together")
    return private


def public_key(key: bytes) -> Ed25519PublicKey:
    """The key of 32 bytes. Raises ValueError for another length."""
    if len(key) != PUBLIC:
        raise ValueError(f"a whpk_ key holds {len(key)} bytes; an ed25519 public key has 32")
    return Ed25519PublicKey.from_public_bytes(key)


def verifies(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Whether `signature` was made over `content` with the private half of `key`."""
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True
