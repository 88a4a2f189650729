"""Secrets that are planted in every place that may hold one, and looked for in all that comes out."""

import secrets
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import quote


class Canaries:
    """Values that occur nowhere else, by the place where they were planted."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        """The secret of this place. No character of it needs an escape: it looks the same wherever it is written."""
        return self.planted.setdefault(place, f"kanarie{place.replace('-', '')}{secrets.token_hex(12)}")

    def seen_in(self, outputs: Mapping[str, str | bytes]) -> list[tuple[str, str]]:
        """Each (output, place) whose secret stands there, plainly or in a header of Basic authentication."""
        return [
            (name, place)
            for name, output in outputs.items()
            for place, secret in self.planted.items()
            if any(form in _bytes(output) for form in _forms(secret))
        ]


def _bytes(output: str | bytes) -> bytes:
    return output if isinstance(output, bytes) else output.encode("utf-8", "replace")


def _forms(secret: str) -> Iterable[bytes]:
    yield secret.encode()
    yield quote(secret).encode()
    # As the end of `user:password`, whatever the length of the user's name.
    for before in range(3):
        encoded = b64encode(b"x" * before + secret.encode())
        yield encoded[4:-4]
