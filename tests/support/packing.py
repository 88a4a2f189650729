"""Bodies packed in every way that is undone."""

import bz2
import gzip
import io
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class _Unseekable(io.RawIOBase):
    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += bytes(data)
        return len(data)


def zipped(body: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """As Java streams it: the sizes stand behind the file."""
    sink = _Unseekable()
    with zipfile.ZipFile(sink, "w", method) as archive:
        archive.writestr("amqp", body)
    return sink.written


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "deflate": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "br": lambda body: brotli.compress(body, quality=1),
    "zstd": zstd.compress,
    "zip": zipped,
}


def packed(coding: str, body: bytes) -> bytes:
    """The same bytes whenever it is asked."""
    return PACKERS[coding](body)


def wide_zstd(body: bytes) -> bytes:
    """With a window of 128 MiB."""
    return zstd.compress(body, options={zstd.CompressionParameter.window_log: 27})
