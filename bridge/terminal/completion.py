"""Shell completion. Names come from the running bridge if it answers within half a second."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from typer import Context

from bridge.formats.event_types import beginning_with
from bridge.terminal.client import Client, Given, access

Complete = Callable[..., list[tuple[str, str]]]
_PATIENCE = 0.5
_MOST = 200


def event_types(incomplete: str) -> list[tuple[str, str]]:
    """Returns the event types of the catalogues that begin with what was typed, each with its meaning."""
    return [(known.type, known.meaning) for known in beginning_with(incomplete)]


def _offered(path: str, word: str, meaning: Callable[[Any], str]) -> Complete:
    """Returns a completer for the names in a list of the API, each with its meaning."""

    def complete(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
        return _beginning(((row[word], meaning(row)) for row in _items(ctx, path)), incomplete)

    return complete


hook_names = _offered("/hooks", "name", lambda row: str(row["target"]["type"]))
source_names = _offered("/sources", "name", lambda row: str(row["queue"]))
token_names = _offered("/tokens", "name", lambda row: str(row["role"]))


def seen_event_types(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Returns the types of the latest events, then those of the catalogues."""
    seen = dict.fromkeys(row["type"] for row in _items(ctx, "/events"))
    known = event_types(incomplete)
    return _beginning([*((each, "seen lately") for each in seen), *known], incomplete)


def one_of(**words: str) -> Complete:
    """Returns a completer for known words, each with its meaning."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return _beginning(words.items(), incomplete)

    return complete


def _beginning(offered: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for word, meaning in offered:
        if word.startswith(incomplete):
            found.setdefault(word, meaning)
    return list(found.items())


def _items(ctx: Context, path: str) -> list[Any]:
    typed: Callable[[str], Any] = ctx.params.get
    try:
        files = (
            Path(each) if (each := typed(name)) else None for name in ("token_file", "ca_file", "config")
        )
        with Client(access(Given(typed("url"), typed("token"), *files)), _PATIENCE) as client:
            return list(client.get(path, {"limit": _MOST})["items"])
    except Exception:  # noqa: BLE001 - whatever it is, a shell that completes wants silence
        return []
