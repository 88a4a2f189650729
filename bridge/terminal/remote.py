"""Sends the requests of one command to a running bridge and prints the answers."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Self

import typer
from rich.console import Console

from bridge.bodies.exact import json_text
from bridge.terminal.client import (
    ApiProblem,
    ApiResponse,
    Client,
    ConnectionOptions,
    Unreachable,
    access,
    answer_of,
)
from bridge.terminal.output import Failure, ended_by, tell, usage
from bridge.terminal.paper import TablePrinter, TerminalPrinter, View, paper

MANY = 50
"""Default of --limit."""


class Remote:
    """Sends the requests of one command to a running bridge and prints the answers."""

    def __init__(
        self,
        *,
        as_json: bool = False,
        watch: float | None = None,
        limit: int = MANY,
        everything: bool = False,
        **connection: Any,
    ) -> None:
        """`connection` has the members of Given."""
        self.given = ConnectionOptions(**connection)
        self.as_json = as_json
        self.limit = None if everything else limit
        self._watch = watch
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.__exit__(None, None, None)

    @property
    def client(self) -> Client:
        """Returns the client, created on first use."""
        if self._client is None:
            self._client = Client(access(self.given))
        return self._client

    @property
    def paper(self) -> TablePrinter:
        """Returns the printer for standard output."""
        return paper(sys.stdout)

    # ---- reading --------------------------------------------------------------------------------------

    def show(self, path: str, view: View, query: Mapping[str, Any] | None = None) -> None:
        """Prints the value at the path, as JSON or with `view`; repeatedly with --watch."""
        self._look(lambda: self.client.ask("GET", path, query=query), view)

    def pages(
        self,
        path: str,
        view: View,
        query: Mapping[str, Any] | None = None,
        *,
        counted: bool = False,
        seconds: float | None = None,
    ) -> None:
        """Prints a list as `show` does: as many pages as --limit asks for, as one, and the number of further items.

        `counted`: the API can count these. `seconds`: maximum duration.
        """
        counts = {"count": True} if counted and not self.as_json and self.limit is not None else {}
        asked = {**(query or {}), **counts}

        def shown(paper: TablePrinter, answer: Any) -> None:
            view(paper, answer)
            if paper.headings:  # of what --watch has found since, the number of others says nothing
                tell_more(paper, answer)

        self._look(lambda: answer_of(self.client.items(path, asked, self.limit, seconds)), shown)

    def _look(self, ask: Callable[[], ApiResponse], view: View) -> None:
        if self._watch is not None:
            watch(lambda: self._refusing(ask), view, self._watch, as_json=self.as_json)
        else:
            self.say(self._refusing(ask), view)

    # ---- changing -------------------------------------------------------------------------------------

    def change(self, method: str, path: str, body: Any = None, **options: Any) -> ApiResponse:
        """Sends a request that changes something."""
        return self._refusing(lambda: self.client.ask(method, path, body=body, **options))

    def each(self, names: list[str], do: Callable[[str], ApiResponse], view: View) -> None:
        """Calls `do` for each name, whatever the result of the others; raises Exit if one was refused.

        `-` stands for names on standard input. With several names, --json prints one line for each.
        """
        failed = 0
        all_names = list(_names(names))
        for name in all_names:
            try:
                answer = do(name)
            except ApiProblem as refused:
                if len(all_names) == 1:
                    raise
                failed = max(failed, ended_by(refused, debug=False))
                continue
            self.say(answer, view, lines=len(all_names) > 1)
        if failed:
            raise typer.Exit(failed)

    def say(self, answer: ApiResponse, view: View, *, lines: bool = False) -> None:
        """Prints the answer: as it is with --json (on one line, with `lines`), else with `view`."""
        if self.as_json:
            print_answer(answer, lines=lines)
        else:
            view(self.paper, answer.value)

    def _refusing(self, ask: Callable[[], ApiResponse]) -> ApiResponse:
        """Returns the answer; with --json a refusal is printed to standard output as the API sent it."""
        try:
            return ask()
        except ApiProblem as refused:
            if self.as_json:
                sys.stdout.write(json_text(refused.document) + "\n")
            raise


def _names(given: list[str]) -> Iterator[str]:
    for name in given:
        if name == "-":
            yield from filter(None, (line.strip() for line in sys.stdin))
        else:
            yield name


def confirm(question: str, *, yes: bool) -> None:
    """Asks for confirmation on a terminal, unless `yes`. Raises Failure if the answer is no."""
    if yes or not sys.stdin.isatty() or not sys.stderr.isatty():
        return
    if not typer.confirm(question, err=True):
        raise Failure(["nothing was changed"])


def needs_one(names: list[str] | None, what: str) -> list[str]:
    """Returns the names. Raises SettingsError if there are none."""
    if not names:
        raise usage("", f"give {what}, or - to read them from standard input")
    return names


def tell_more(paper: TablePrinter, answer: Any) -> None:
    """Prints how many items of the list are not shown."""
    shown, more = len(answer["items"]), answer.get("more")
    if answer["next"] is None or "searched" in answer:
        return
    if more is None or (more["count"] == 0 and not more["exact"]):
        told = "there are more"
    else:
        told = f"{more['count']} more" if more["exact"] else f"more than {more['count']} more"
    paper.line(f"{shown} shown, {told}: --all", "dim")


# The answer of the API for programs.


def print_answer(answer: ApiResponse, *, lines: bool = False) -> None:
    """Prints the JSON of the answer: indented on a terminal, on one line with `lines`, else as it came."""
    sys.stdout.write(_laid_out(answer, lines=lines) + "\n")


def _laid_out(answer: ApiResponse, *, lines: bool) -> str:
    text = answer.content.decode(errors="replace").strip()
    if not text:
        return "null"
    if lines:
        return text if "\n" not in text else json_text(answer.value)
    if not sys.stdout.isatty() or answer.value is None:
        return text
    return json.dumps(answer.value, indent=2)


# The option --watch: the same request again and again, until Ctrl-C.


def watch(ask: Callable[[], ApiResponse], view: View, seconds: float, *, as_json: bool) -> None:
    """Asks every `seconds`. Redraws the screen on a terminal; elsewhere prints what is new, as text or as JSON lines.

    Ends with Ctrl-C and exit code 0. Waits while the bridge is unreachable, but not for the first answer; raises ApiProblem.
    """
    answers = _rounds(ask, seconds)
    with suppress(KeyboardInterrupt):
        if sys.stdout.isatty() and not as_json:
            _redraw(answers, view, f"every {seconds:g} s, Ctrl-C ends it")
        for answer, first in _news(answers):
            if as_json:
                print_answer(answer, lines=True)
            else:
                view(TablePrinter(sys.stdout, headings=first), answer.value)
            sys.stdout.flush()


def _rounds(ask: Callable[[], ApiResponse], seconds: float) -> Iterator[ApiResponse]:
    yield ask()
    told = False
    while True:
        time.sleep(seconds)
        try:
            answer = ask()
        except Unreachable as away:
            if not told:
                tell(away)
            told = True
        else:
            told = False
            yield answer


def _news(answers: Iterator[ApiResponse]) -> Iterator[tuple[ApiResponse, bool]]:
    """Yields what is new, and whether it is the first answer: the items of a list that are new or changed, of anything else
    the whole answer if it changed.
    """
    before: Any = None
    for answer in answers:
        value, known = answer.value, before
        before = value
        if value == known:
            continue
        if known is not None and isinstance(items := _items(value), list):
            texts = {json_text(item) for item in _items(known)}
            fresh = {**value, "items": [item for item in items if json_text(item) not in texts]}
            if not fresh["items"]:
                continue
            answer = answer_of(fresh)  # noqa: PLW2901 - the new rows of it
        yield answer, known is None


def _items(value: Any) -> Any:
    return value.get("items") if isinstance(value, dict) else None


def _redraw(answers: Iterator[ApiResponse], view: View, when: str) -> None:
    """Draws each answer over the one before on the alternate screen; the last one stays visible after the end."""
    console, last = Console(), ""
    console.set_alt_screen(True)

    def write(text: str) -> None:
        console.file.write(text)
        console.file.flush()

    try:
        for answer in answers:
            with console.capture() as captured:
                view(TerminalPrinter(console), answer.value)
            last = captured.get()
            lines = last.splitlines()
            room = console.height - 2
            if len(lines) > room:
                lines = [*lines[: room - 1], f"... {len(lines) - room + 1} more lines"]
            head = f"{datetime.now(UTC):%H:%M:%SZ}, {when}"
            write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in [head, *lines]) + "\x1b[J")
    finally:
        console.set_alt_screen(False)
        write(last)
