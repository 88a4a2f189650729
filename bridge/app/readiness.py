"""What /health/ready says: whether all is well, and what is not."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from bridge.app.connections import Links
from bridge.app.parts import Parts

_BROKEN_TOLD = 20


def readiness(parts: Parts, links: Links, problems: Sequence[str]) -> dict[str, Any]:
    """The state of broker, database, consumers and hooks; `problems` are what somebody has to do something about."""
    down = parts.recorder.down_since is not None
    broken = parts.in_force.broken
    broker = {link.role: "up" if link.up else "down" for link in links.all()}
    sources = parts.sources.state()
    there = (
        not down and "down" not in broker.values() and set(sources.values()) <= {"consuming", "standing_by"}
    )
    told = dict(islice(sorted(broken.items()), _BROKEN_TOLD))
    return {
        "status": "ok" if there and not broken and not problems else "degraded",
        "database": "down" if down else "up",
        "broker": broker,
        "consumers": sources,
        "broken_hooks": {"count": len(broken), "reasons": told},
        "problems": list(problems),
    }
