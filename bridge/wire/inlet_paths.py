"""Paths of inlets: which request is whose, and what its path tells."""

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

RESERVED = ("/health", "/metrics", "/api", "/openapi.json", "/docs", "/ui", "/in")
"""The bridge's own paths, and all below them."""
IN = "/in/"
"""Each inlet answers below this by its name."""

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical(path: str) -> str:
    """The one spelling of a path as it was sent, without its query.

    Escapes of characters that need none are undone, all others are in capitals (RFC 3986, 6.2.2); nothing else is
    changed: slashes, dots and letters stay as they are.
    """
    return _ESCAPE.sub(_normal, quote(path, safe="!#$%&'()*+,/:;=?@[]~|^`{}\"<>\\", errors="surrogateescape"))


def _normal(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def check_path(path: str) -> None:
    """Raise a ValueError, with a text for the operator, for a path that an inlet cannot have."""
    if any(each in path for each in "?#"):
        raise ValueError("a path has no `?` and no `#`: queries are not looked at")
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise ValueError("in a path `%` is followed by two hex digits")
    base = path.removesuffix("/*")
    if "*" in base:
        raise ValueError("`*` stands only at the end of a path, as `/*`")
    base = canonical(base)
    if not base:
        raise ValueError("an inlet cannot have every path; write for example /hooks/*")
    for reserved in RESERVED:
        if base == reserved or base.startswith(f"{reserved}/"):
            raise ValueError(f"{reserved} is the bridge's own; choose another path")


class PathTable:
    """Finds the inlet of a path: an exact one first, then the one with the longest beginning."""

    def __init__(self, exact: Iterable[tuple[str, str]], below: Iterable[tuple[str, str]]) -> None:
        """Both are pairs of path and inlet; those of `below` answer for all that is under the path."""
        self._exact = {canonical(path): name for path, name in exact}
        self._below = {canonical(path): name for path, name in below}

    def find(self, path: str) -> tuple[str, str] | None:
        """The inlet, and what follows its path with the slash before it; None where there is none."""
        path = canonical(path)
        if name := self._exact.get(path):
            return name, ""
        base = path
        while base:
            base = base.rpartition("/")[0]
            if name := self._below.get(base):
                return name, path[len(base) :]
        return None


def type_in_path(rest: str) -> str:
    """What follows an inlet's path as an event type: `/content/item/save` is content.item.save."""
    return ".".join(unquote(part) for part in rest.split("/") if part)
