"""Where commands write for people: a terminal with its width and colours, or plain text that is never cut."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.cli.showing.columns import GAP, Column, Row, cells, fitted, natural, shortened

_GAP = " " * GAP
_STYLES = {
    "SUCCESS": "green",
    "FAILED": "red",
    "RETRYING": "yellow",
    "PENDING": "cyan",
    "SKIPPED": "dim",
}


def status_style(status: str) -> str:
    """The colour of a delivery's status."""
    return _STYLES.get(status, "")


class Paper(Protocol):
    """Takes what a command has to say."""

    def line(self, text: str = "", style: str = "") -> None:
        """One line, or several."""
        ...

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Names and values below each other; empty values are left out."""
        ...

    def table(self, columns: Sequence[Column], rows: Sequence[Row], nothing: str) -> None:
        """A table, or the words for none."""
        ...


def paper(stream: TextIO) -> Paper:
    """That of the stream: a terminal, or plain."""
    return TerminalPaper(Console(file=stream)) if stream.isatty() else PlainPaper(stream)


class PlainPaper:
    """Columns padded with blanks and never cut, for files and pipes."""

    def __init__(self, stream: TextIO, *, headings: bool = True) -> None:
        """`headings`: tables begin with the titles of their columns."""
        self._stream = stream
        self._headings = headings

    def line(self, text: str = "", style: str = "") -> None:  # noqa: ARG002 - plain has no colours
        self._stream.write(f"{text}\n")

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        told = [(name, value) for name, value in facts if value]
        width = max((cell_len(name) for name, _ in told), default=0)
        for name, value in told:
            self.line(f"{_padded(name, width)}{_GAP}{value}")

    def table(self, columns: Sequence[Column], rows: Sequence[Row], nothing: str) -> None:
        if not rows:
            self.line(nothing)
            return
        texts = [[column.title for column in columns], *cells(columns, rows)]
        widths = natural(columns, texts)
        for row in texts if self._headings else texts[1:]:
            padded = [
                _padded(text, width, right=column.right)
                for text, width, column in zip(row, widths, columns, strict=True)
            ]
            self.line(_GAP.join(padded).rstrip())


class TerminalPaper:
    """Tables as wide as the terminal is; what has no room is cut, or goes below each other."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def line(self, text: str = "", style: str = "") -> None:
        self.console.print(Text(text, style=style))

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        grid = Table.grid(padding=(0, GAP, 0, 0))
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(overflow="fold")
        for name, value in facts:
            if value:
                grid.add_row(Text(name), Text(value))
        self.console.print(grid)

    def table(self, columns: Sequence[Column], rows: Sequence[Row], nothing: str) -> None:
        if not rows:
            self.line(nothing, "dim")
            return
        widths = natural(columns, cells(columns, rows))
        if sum(widths) + GAP * (len(widths) - 1) > self.console.width:
            columns = shortened(columns)
            widths = natural(columns, cells(columns, rows))
        fit = fitted(columns, widths, self.console.width)
        if not fit.columns:
            self._below_each_other(columns, rows)
            return
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
        for column, width in zip(fit.columns, fit.widths, strict=True):
            table.add_column(
                column.title,
                width=width,
                no_wrap=True,
                overflow="ellipsis",
                justify="right" if column.right else "left",
            )
        for row in cells(fit.columns, rows):
            table.add_row(*(_styled(column, text) for column, text in zip(fit.columns, row, strict=True)))
        self.console.print(table)

    def _below_each_other(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        for number, row in enumerate(rows):
            if number:
                self.line()
            self.facts((column.title, column.cell(row)) for column in columns)


def _styled(column: Column, text: str) -> Text:
    return Text(text, style=column.style(text) if column.style else "")


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks
