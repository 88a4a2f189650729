"""Style sheet and scripts: joined, named by their content, compressed once."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType

from aiohttp import web

_PARTS = {
    "ui.css": ("ui.css",),
    "ui.js": ("htmx.min.js", "deny.js", "ui.js", "live.js"),
    "icon.svg": ("icon.svg",),
}
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
HTMX_SHA256 = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
"""The digest of dist/htmx.min.js in the npm package htmx.org 4.0.1."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    name: str
    content_type: str
    plain: bytes
    packed: bytes

    def response(self, request: web.Request) -> web.Response:
        """Returns the response, which browsers keep for ever: other content has another name."""
        packs = "gzip" in request.headers.get("Accept-Encoding", "")
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if packs:
            headers["Content-Encoding"] = "gzip"
        return web.Response(
            body=self.packed if packs else self.plain,
            content_type=self.content_type,
            charset="utf-8",
            headers=headers,
        )


def packaged(name: str) -> bytes:
    """Returns a file of the package."""
    return files("bridge.ui").joinpath("static").joinpath(name).read_bytes()


@cache
def assets() -> Mapping[str, Asset]:
    """Returns the assets by their plain names."""
    return MappingProxyType({name: _made(name, parts) for name, parts in _PARTS.items()})


def _made(name: str, parts: tuple[str, ...]) -> Asset:
    content = b"\n".join(packaged(part) for part in parts)
    stem, _, ending = name.rpartition(".")
    digest = sha256(content).hexdigest()[:12]
    return Asset(f"{stem}.{digest}.{ending}", _TYPES[ending], content, gzip.compress(content, 9, mtime=0))
