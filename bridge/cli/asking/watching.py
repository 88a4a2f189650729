"""--watch: the same look again and again, until Ctrl-C."""

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from bridge.cli.asking.client import Answer
from bridge.cli.asking.documents import print_answer
from bridge.cli.asking.refusals import Unreachable
from bridge.cli.failures import tell
from bridge.cli.showing.paper import Paper, PlainPaper, TerminalPaper
from bridge.rules.bodies.exact import json_text

View = Callable[[Paper, Any], None]


def watch(ask: Callable[[], Answer], view: View, seconds: float, *, as_json: bool) -> None:
    """Ask every so many seconds: redrawn on a terminal, else what is new, as text or one JSON document a line.

    Ends with Ctrl-C, in order. A bridge that is away for a while is waited for; one that is not there at first is an
    error, and so is whatever it refuses.
    """
    show: _Redrawn | _Appended
    if as_json:
        show = _Appended(_print_line)
    elif sys.stdout.isatty():
        show = _Redrawn(view, seconds)
    else:
        show = _Appended(lambda told, first: view(PlainPaper(sys.stdout, headings=first), told.value))
    try:
        answer = ask()
        while True:
            show(answer)
            answer = _next(ask, seconds)
    except KeyboardInterrupt:
        pass
    finally:
        if isinstance(show, _Redrawn):
            show.end()


def _next(ask: Callable[[], Answer], seconds: float) -> Answer:
    told = False
    while True:
        time.sleep(seconds)
        try:
            return ask()
        except Unreachable as away:
            if not told:
                tell(away)
            told = True


def _print_line(answer: Answer, _first: bool) -> None:
    print_answer(answer, lines=True)


class _Appended:
    """What was not there before, one round after the other: of a list the rows that are new or have changed, of anything
    else the whole where it has changed.
    """

    def __init__(self, show: Callable[[Answer, bool], None]) -> None:
        """`show(answer, first)`."""
        self._show = show
        self._before: Any = None

    def __call__(self, answer: Answer) -> None:
        before, self._before = self._before, answer.value
        if before == answer.value:
            return
        if before is not None and isinstance(items := _items(answer.value), list):
            known = {json_text(item) for item in _items(before)}
            fresh = {**answer.value, "items": [item for item in items if json_text(item) not in known]}
            if not fresh["items"]:
                return
            answer = replace(answer, value=fresh, content=json_text(fresh).encode())
        self._show(answer, before is None)
        sys.stdout.flush()


def _items(value: Any) -> Any:
    return value.get("items") if isinstance(value, dict) else None


class _Redrawn:
    """Each round in place of the one before, on a screen of its own; the last one stays when it is over."""

    def __init__(self, view: View, seconds: float) -> None:
        self._view = view
        self._every = f"every {seconds:g} s, Ctrl-C ends it"
        self._console = Console()
        self._last = ""
        self._console.set_alt_screen(True)

    def __call__(self, answer: Answer) -> None:
        with self._console.capture() as captured:
            self._view(TerminalPaper(self._console), answer.value)
        self._last = captured.get()
        lines = self._last.splitlines()
        room = self._console.height - 2
        if len(lines) > room:
            lines = [*lines[: room - 1], f"... {len(lines) - room + 1} more lines"]
        head = f"{datetime.now(UTC):%H:%M:%SZ}, {self._every}"
        self._write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in [head, *lines]) + "\x1b[J")

    def end(self) -> None:
        self._console.set_alt_screen(False)
        self._write(self._last)

    def _write(self, text: str) -> None:
        self._console.file.write(text)
        self._console.file.flush()
