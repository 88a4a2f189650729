"""What the system gives the process, and how the C library hands it on."""

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

_USUAL = 268_435_456
_PART = 3
"""Of what its cgroup may take, the process gives one of so many parts to messages."""
_LEAST = 8_388_608
_UNLIMITED = 1 << 60

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt (malloc.h)."""
_OWN_PAGES = 131_072


def usual_budget() -> int:
    """A third of what the cgroup of this process may take, or 256 MiB where it may take anything."""
    most = min(_limits(), default=_UNLIMITED)
    return _USUAL if most >= _UNLIMITED else max(_LEAST, most // _PART)


def set_up_allocator() -> None:
    """Have large bodies in pages of their own, which go back to the system at once; before anything large is made.

    By itself glibc takes them from its heap as soon as one was freed, where small values that live on among them keep
    the pages; and each thread has a heap of its own. Other C libraries have no such setting.
    """
    if (mallopt := libc("mallopt")) is not None:
        mallopt(_MMAP_THRESHOLD, _OWN_PAGES)
        mallopt(_TRIM_THRESHOLD, _OWN_PAGES)
        mallopt(_ARENA_MAX, 2)


def libc(name: str) -> Callable[..., int] | None:
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except OSError:
        return None


def _limits() -> Iterator[int]:
    """The limits of the cgroup and of those it lies in, of version 2 or 1."""
    for root, file, group in _groups():
        for folder in (group, *group.parents):
            try:
                text = (root / folder.relative_to("/") / file).read_text()
            except OSError:
                continue
            if text.strip().isdecimal():
                yield int(text)


def _groups() -> Iterator[tuple[Path, str, Path]]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield Path("/sys/fs/cgroup"), "memory.max", Path(path)
        elif "memory" in controllers.split(","):
            yield Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", Path(path)
