"""What profile `generic` signs: text with holes, taken apart once."""

import hmac
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

HOLES: Final = ("body", "timestamp", "id", "event", "method", "path")
_HOLE = re.compile(r"\{([a-z_]+)\}", re.IGNORECASE)


class Hole(NamedTuple):
    """A place that each request fills for itself."""

    name: str


class SignedText:
    """A template whose text is never looked at again: braces in what fills it mean nothing.

    Raises ValueError for a name in braces that is none of `HOLES`.
    """

    def __init__(self, text: str, fixed: Mapping[str, str]) -> None:
        """`fixed` fills holes that are the same for every request."""
        parts = _HOLE.split(text)
        self.holes = frozenset(parts[1::2])
        if unknown := self.holes - frozenset(HOLES):
            names = ", ".join(f"{{{name}}}" for name in HOLES)
            raise ValueError(f"the template has {{{min(unknown)}}}, which nothing fills; it may hold {names}")
        self._parts = tuple(_parts(parts, fixed))

    def mac(self, key: hmac.HMAC, filled: Mapping[str, bytes]) -> hmac.HMAC:
        """The HMAC of the template with its holes filled."""
        copy = key.copy()
        for part in self._parts:
            copy.update(part if isinstance(part, bytes) else filled[part.name])
        return copy


def _parts(split: list[str], fixed: Mapping[str, str]) -> list[bytes | Hole]:
    """Text and names in turn, as `re.split` gives them, with fixed holes joined to the text around them."""
    parts: list[bytes | Hole] = []
    text = b""
    for index, piece in enumerate(split):
        if index % 2 == 0:
            text += piece.encode()
        elif piece in fixed:
            text += fixed[piece].encode()
        else:
            parts += [text, Hole(piece)] if text else [Hole(piece)]
            text = b""
    return [*parts, text] if text else parts
