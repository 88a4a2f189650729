#!/usr/bin/env python3
"""Takes out of installed packages what a running bridge never reads: the image is smaller by half.

usage: shrink.py FOLDER        the folder site-packages

It takes out tests and sources in C, type stubs, symbol tables and debugging information of shared objects, extensions of CEL and
dialects of SQL that the bridge does not use, and the lexers of a library for coloured source code.
"""

import shutil
import struct
import sys
from pathlib import Path

UNUSED = (
    "bazel-project",  # build files that a wheel has by mistake
    "cel_expr_python/ext",
    "pygments/lexers",
    "pygments/styles",
    "sqlalchemy/dialects/mssql",
    "sqlalchemy/dialects/mysql",
    "sqlalchemy/dialects/oracle",
    "sqlalchemy/testing",
    "alembic/testing",
    "mako/testing",
    "greenlet/tests",
)
SOURCES = {".c", ".cc", ".cpp", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx"}
LOADED = 1  # PT_LOAD


def main(root: Path) -> None:
    """Shrinks the packages in the folder and says by how much."""
    before = size(root)
    for name in UNUSED:
        if not (root / name).is_dir():
            sys.exit(f"{root / name} is no folder: adapt UNUSED in {__file__}")
        shutil.rmtree(root / name)
    for file in [each for each in root.rglob("*") if each.is_file() and not each.is_symlink()]:
        if file.suffix in SOURCES:
            file.unlink()
        elif ".so" in file.suffixes:
            strip(file)
    print(f"{before / 1e6:.0f} MB of packages became {size(root) / 1e6:.0f} MB")


def size(root: Path) -> int:
    """Bytes in all files."""
    return sum(file.stat().st_size for file in root.rglob("*") if file.is_file())


def strip(file: Path) -> None:
    """Ends a 64-bit ELF file behind the last segment that is loaded, and has its header name no sections.

    The loader reads segments only; what stands behind them are symbols for linking and debugging.
    """
    data = bytearray(file.read_bytes())
    if data[:6] != b"\x7fELF\x02\x01":
        return
    table, entry, entries = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    end = table + entry * entries
    for place in range(table, end, entry):
        kind, _, offset, _, _, stored = struct.unpack_from("<IIQQQQ", data, place)
        if kind == LOADED:
            end = max(end, offset + stored)
    struct.pack_into("<Q", data, 40, 0)  # e_shoff
    struct.pack_into("<HHH", data, 58, 0, 0, 0)  # e_shentsize, e_shnum, e_shstrndx
    file.write_bytes(data[:end])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
