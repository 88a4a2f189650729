"""The routing of request paths to inlets."""

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

RESERVED = ("/health", "/metrics", "/api", "/openapi.json", "/docs", "/ui", "/in")
"""The bridge's own paths, with all paths below."""
IN = "/in/"
"""The prefix of each inlet's default path."""

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical(path: str) -> str:
    """Returns the canonical form of a path as sent, without its query.

    Unreserved characters are unescaped, other escapes are in capitals (RFC 3986, 6.2.2); slashes, dots and letters are
    unchanged.
    """
    return _ESCAPE.sub(_normal, quote(path, safe="!#$%&'()*+,/:;=?@[]~|^`{}\"<>\\", errors="surrogateescape"))


def _normal(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def check_path(path: str) -> None:
    """Raises ValueError, with a text for the operator, for a path that an inlet cannot have."""
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
    """The routing table of paths: an exact match first, then the longest prefix."""

    def __init__(self, exact: Iterable[tuple[str, str]], below: Iterable[tuple[str, str]]) -> None:
        """Build the table from pairs of path and inlet; those of `below` match all paths under theirs."""
        self._exact = {canonical(path): name for path, name in exact}
        self._below = {canonical(path): name for path, name in below}

    def find(self, path: str) -> tuple[str, str] | None:
        """Returns the inlet and the rest of the path with its leading slash; None without a match."""
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
    """Returns the rest of an inlet's path as event type: `/content/item/save` is content.item.save."""
    return ".".join(unquote(part) for part in rest.split("/") if part)
