"""Keeps the secrets that the process holds in its memory from leaving it by the back door."""

import contextlib
import ctypes
import resource
import sys

_SET_DUMPABLE = 4
"""PR_SET_DUMPABLE of prctl(2)."""


def keep_memory_private() -> None:
    """No core dump from now on, and on Linux no look into memory and environment for processes of the same user.

    RLIMIT_CORE alone would not do: the kernel does not look at it where a program collects dumps (core_pattern(5)).
    Scripts inherit the limit, and not the rest. root looks into everything still.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
