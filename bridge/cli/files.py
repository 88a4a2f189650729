"""What commands read: files, or standard input in their place."""

import sys
from pathlib import Path
from typing import BinaryIO

from bridge.model.errors import Problem, SettingsError

STDIN = "-"
"""Stands for standard input where a file is to be named."""


def opened(name: str) -> BinaryIO:
    """The file, or standard input for STDIN. Raises SettingsError when it cannot be read."""
    if name == STDIN:
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise SettingsError([Problem("", f"cannot be read: {error.strerror}", name)]) from None


def content(name: str) -> bytes:
    """All bytes of the file, or of standard input for STDIN. Raises SettingsError when it cannot be read."""
    with opened(name) as stream:
        return stream.read()
