"""Names for hooks that came without one."""

import re
from collections.abc import Collection, Mapping
from itertools import count
from typing import Any
from urllib.parse import urlsplit

_LONGEST = 64


def name_for(tree: Mapping[str, Any]) -> str:
    """What the target suggests: the host of a webhook, a script's file, a queue, a service."""
    target = tree.get("target")
    if not isinstance(target, Mapping):
        return "hook"
    kind = target.get("type")
    suggested = (_suggested(target.get(key)) for key in ("url", "command", "queue", "exchange", "urls"))
    words = re.sub(r"[^a-z0-9]+", "-", next(filter(None, suggested), "").lower()).strip("-")
    known = kind if isinstance(kind, str) and kind in {"webhook", "script", "queue", "notify"} else "hook"
    return (words or known)[:_LONGEST].strip("-")


def free_name(wanted: str, taken: Collection[str]) -> str:
    """The name, or the first free one of `name-2`, `name-3`, ..."""
    if wanted not in taken:
        return wanted
    numbered = (f"{wanted[: _LONGEST - len(str(number)) - 1]}-{number}" for number in count(2))
    return next(name for name in numbered if name not in taken)


def _suggested(value: Any) -> str:
    """Of an address the host, or where that may be secret (`discord://id/token`) the scheme; of a path the file."""
    if isinstance(value, list):
        first = value[0] if value and isinstance(value[0], str) else ""
        return first.partition("://")[0] if "://" in first else first.rpartition("/")[2]
    if not isinstance(value, str):
        return ""
    try:
        return (urlsplit(value).hostname or "") if "://" in value else value
    except ValueError:
        return ""
