"""What the shell is offered after the tab key, from the running bridge: within half a second, or not at all."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from typer import Context

from bridge.cli.completion import event_types

_PATIENCE = 0.5
_MOST = 200


def hook_names(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of hooks, each with where it delivers."""
    rows = _items(ctx, "/hooks")
    return _beginning(((row["name"], row["target"]["type"]) for row in rows), incomplete)


def seen_event_types(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Types of the latest events, then those of the catalogues."""
    seen = dict.fromkeys(row["type"] for row in _items(ctx, "/events"))
    known = event_types(incomplete)
    return _beginning([*((each, "seen lately") for each in seen), *known], incomplete)


def source_names(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of sources, each with its queue."""
    return _beginning(((row["name"], row["queue"]) for row in _items(ctx, "/sources")), incomplete)


def token_names(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of tokens, each with its role."""
    return _beginning(((row["name"], row["role"]) for row in _items(ctx, "/tokens")), incomplete)


def statuses(incomplete: str) -> list[tuple[str, str]]:
    """Statuses of deliveries."""
    return _beginning(
        [
            ("PENDING", "not tried yet"),
            ("RETRYING", "tried again later"),
            ("SUCCESS", "delivered"),
            ("FAILED", "given up, cancelled, or its hook deleted"),
            ("SKIPPED", "its hook was disabled"),
        ],
        incomplete,
    )


def roles(incomplete: str) -> list[tuple[str, str]]:
    """Roles of tokens."""
    return _beginning(
        [
            ("viewer", "looks at everything"),
            ("operator", "also pauses, retries, replays, publishes"),
            ("admin", "also changes hooks, secrets and tokens"),
        ],
        incomplete,
    )


def _beginning(offered: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for word, meaning in offered:
        if word.startswith(incomplete):
            found.setdefault(word, meaning)
    return list(found.items())


def _items(ctx: Context, path: str) -> Iterator[Any]:
    try:
        found = _asked(ctx, path)
    except Exception:  # noqa: BLE001 - whatever it is, a shell that completes wants silence
        found = []
    return iter(found)


def _asked(ctx: Context, path: str) -> list[Any]:
    from bridge.cli.asking.access import Given, access
    from bridge.cli.asking.client import Client

    typed: Callable[[str], Any] = ctx.params.get
    files = (Path(each) if (each := typed(name)) else None for name in ("token_file", "ca_file", "config"))
    with Client(access(Given(typed("url"), typed("token"), *files)), _PATIENCE) as client:
        items: list[Any] = client.get(path, {"limit": _MOST})["items"]
        return items
