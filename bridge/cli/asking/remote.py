"""A running bridge as one command asks it, and where the command's words go."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import typer

from bridge.cli.failures import Failure, ended_by, usage

if TYPE_CHECKING:
    from bridge.cli.asking.client import Answer, Client
    from bridge.cli.showing.paper import Paper

MANY = 50
"""Entries of a list where --limit is not given."""


class Remote:
    """A running bridge as one command asks it, and where the command's words go."""

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        config: Path | None = None,
        as_json: bool = False,
        watch: float | None = None,
        limit: int = MANY,
        everything: bool = False,
    ) -> None:
        from bridge.cli.asking.access import Given

        self.given = Given(url, token, token_file, ca_file, config)
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
    def client(self) -> "Client":
        """The connection, made at its first use."""
        if self._client is None:
            from bridge.cli.asking.access import access
            from bridge.cli.asking.client import Client

            self._client = Client(access(self.given))
        return self._client

    @property
    def paper(self) -> "Paper":
        """Standard output, for people."""
        from bridge.cli.showing.paper import paper

        return paper(sys.stdout)

    # ---- what is looked at ----------------------------------------------------------------------------

    def show(
        self, path: str, view: "Callable[[Paper, Any], None]", query: Mapping[str, Any] | None = None
    ) -> None:
        """What stands at the path, as JSON or as `view` writes it; again and again with --watch."""
        self._look(lambda: self._refusing(lambda: self.client.ask("GET", path, query=query)), view)

    def pages(
        self,
        path: str,
        view: "Callable[[Paper, Any], None]",
        query: Mapping[str, Any] | None = None,
        *,
        counted: bool = False,
        seconds: float | None = None,
    ) -> None:
        """As `show`, for a list: as many pages as --limit asks for, as one, and how much there is behind them.

        `counted`: the API can tell how much that is. `seconds`: how long it may go on.
        """
        from bridge.cli.asking.pages import page, tell_more

        counts = {"count": True} if counted and not self.as_json and self.limit is not None else {}
        asked = {**(query or {}), **counts}

        def shown(paper: "Paper", answer: Any) -> None:
            view(paper, answer)
            tell_more(paper, answer)

        self._look(lambda: self._refusing(lambda: page(self.client, path, asked, self.limit, seconds)), shown)

    def _look(self, ask: "Callable[[], Answer]", view: "Callable[[Paper, Any], None]") -> None:
        from bridge.cli.asking.watching import watch

        if self._watch is not None:
            watch(ask, view, self._watch, as_json=self.as_json)
        else:
            self.say(ask(), view)

    # ---- what is changed ------------------------------------------------------------------------------

    def change(self, method: str, path: str, body: Any = None, **options: Any) -> "Answer":
        """Ask for something to be done."""
        return self._refusing(lambda: self.client.ask(method, path, body=body, **options))

    def each(
        self, names: list[str], do: "Callable[[str], Answer]", view: "Callable[[Paper, Any], None]"
    ) -> None:
        """Do it with every one of them, whatever becomes of the others; raises Exit where one was refused.

        `-` stands for names on standard input. With several, --json prints one line for each.
        """
        from bridge.cli.asking.refusals import Refused

        failed = 0
        all_names = list(_names(names))
        for name in all_names:
            try:
                answer = do(name)
            except Refused as refused:
                if len(all_names) == 1:
                    raise
                failed = max(failed, ended_by(refused, debug=False))
                continue
            self.say(answer, view, lines=len(all_names) > 1)
        if failed:
            raise typer.Exit(failed)

    def say(self, answer: "Answer", view: "Callable[[Paper, Any], None]", *, lines: bool = False) -> None:
        """Print it: as it is with --json (on one line, with `lines`), else as `view` writes it."""
        from bridge.cli.asking.documents import print_answer

        if self.as_json:
            print_answer(answer, lines=lines)
        else:
            view(self.paper, answer.value)

    def _refusing(self, ask: "Callable[[], Answer]") -> "Answer":
        """With --json the API's own words go to standard output, whatever they are."""
        from bridge.cli.asking.refusals import Refused
        from bridge.rules.bodies.exact import json_text

        try:
            return ask()
        except Refused as refused:
            if self.as_json:
                sys.stdout.write(json_text(refused.document) + "\n")
            raise


def _names(given: list[str]) -> Iterator[str]:
    for name in given:
        if name == "-":
            yield from filter(None, (line.strip() for line in sys.stdin))
        else:
            yield name


def sure(question: str, *, yes: bool) -> None:
    """Ask on a terminal, unless `yes`; raises Failure for a no."""
    if yes or not sys.stdin.isatty() or not sys.stderr.isatty():
        return
    if not typer.confirm(question, err=True):
        raise Failure(["nothing was changed"])


def needs_one(names: list[str] | None, what: str) -> list[str]:
    """The names; raises SettingsError for none."""
    if not names:
        raise usage("", f"give {what}, or - to read them from standard input")
    return names
