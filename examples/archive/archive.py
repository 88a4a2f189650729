#!/usr/bin/env python3
"""Write each event as one line of a file: the target of a hook, see docs/hooks.md.

    archive.py FILE [--most-bytes 100000000] [--keep 10]

Exit code 0 means that the line is on the disk. Several of these may run at once. Once the file would grow beyond
--most-bytes it becomes FILE.1, the former FILE.1 becomes FILE.2, and so on; --keep of them are kept. An event that the
bridge delivers again after a crash is written again: its `id` is the same.
"""

import argparse
import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

TRY_AGAIN = 75  # any code but 0, 64, 65, 77 and 78 has the bridge try again


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--most-bytes", type=int, default=100_000_000)
    parser.add_argument("--keep", type=int, default=10)
    options = parser.parse_args()
    line = one_line(sys.stdin.buffer.read())
    try:
        with locked(options.file):
            rotate(options.file, len(line), options.most_bytes, options.keep)
            append(options.file, line)
    except OSError as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return TRY_AGAIN
    return 0


def one_line(event: bytes) -> bytes:
    event = event.strip()
    if b"\n" in event or b"\r" in event:
        event = json.dumps(json.loads(event), separators=(",", ":")).encode()
    return event + b"\n"


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """One writer at a time. The lock is a file of its own, for the file itself is renamed."""
    with Path(f"{file}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def rotate(file: Path, more: int, most: int, keep: int) -> None:
    if not file.exists() or file.stat().st_size + more <= most:
        return
    numbered = [Path(f"{file}.{number}") for number in range(1, keep + 1)]
    for older, newer in zip(reversed(numbered), [*reversed(numbered[:-1]), file], strict=True):
        if newer.exists():
            newer.replace(older)
    if not numbered:
        file.unlink()


def append(file: Path, line: bytes) -> None:
    """All of the line or nothing: half a line, of a writer that was killed, was never reported as written."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        end = after_last_line(descriptor)
        os.ftruncate(descriptor, end)
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(descriptor, line[written:], end + written)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def after_last_line(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65_536)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


if __name__ == "__main__":
    sys.exit(main())
