"""Replays, as documents."""

from collections.abc import Callable
from typing import Any

from bridge.ports.jobs import Replay
from bridge.rules.formats.text import utc_seconds


def replay_document(replay: Replay, name_of: Callable[[str], str]) -> dict[str, Any]:
    """The ReplayDocument."""
    which = replay.which
    return {
        "id": replay.id,
        "filter": {
            "hook": which.hook,
            "hook_name": None if which.hook is None else name_of(which.hook),
            "status": sorted(which.statuses),
            "type": which.event_type,
            "source": which.source,
            "from": _moment(which.since),
            "to": _moment(which.until),
            "missing": which.missing,
        },
        "rate": replay.rate,
        "status": replay.status,
        # What was not counted, or came to fit by a commit under way, shows when it is done.
        "total": max(replay.total, replay.done),
        "exact": replay.exact,
        "done": replay.done,
        "left_out": replay.left_out,
        "created_at": utc_seconds(replay.created_at),
        "created_by": replay.created_by,
        "updated_at": utc_seconds(replay.updated_at),
        "finished_at": _moment(replay.finished_at),
        "error": replay.error or None,
    }


def dry_run_document(planned: Replay) -> dict[str, Any]:
    """The DryRunDocument."""
    return {
        "dry_run": True,
        "total": planned.total,
        "exact": planned.exact,
        "left_out": planned.left_out,
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else utc_seconds(at)
