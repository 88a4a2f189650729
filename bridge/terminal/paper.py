"""Prints tables and facts: fitted to the width of a terminal and coloured, or as plain text that is never cut."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

# The values of the API as text for people.


# Text from a publisher or a receiver must not move the cursor or colour the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORT = 18
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def visible(text: str) -> str:
    r"""Returns the text on one line, with control characters and lone surrogates as `\u001b`."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def text(value: Any) -> str:
    """Returns any value as the text of a cell: null is empty, booleans are yes and no, lists are separated by commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(text(each) for each in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return visible(str(value))


def visible_lines(text: str) -> str:
    """Returns the text as `visible` does, but keeps line breaks and tabs."""
    return _CONTROL.sub(lambda found: found[0] if found[0] in "\n\t" else f"\\u{ord(found[0]):04x}", text)


def short_id(text: str) -> str:
    """Returns the start of a UUID: its time, and enough to tell it from others of the same millisecond."""
    return text[:_SHORT] if _ID.fullmatch(text) else text


def moment(value: Any) -> str:
    """Returns a time of the API without fractions of a second."""
    found = _MOMENT.fullmatch(str(value))
    return f"{found[1]}Z" if found else text(value)


def milliseconds(value: Any) -> str:
    """Returns a duration in milliseconds or seconds: `12 ms`, `1.25 s`."""
    if not isinstance(value, (int, float)):
        return text(value)
    return f"{value:.3g} ms" if value < 999.5 else f"{value / 1000:.3g} s"


def percent(value: Any) -> str:
    """Returns a percentage; empty if there is none."""
    return f"{value:.4g} %" if isinstance(value, (int, float)) else ""


def count(number: int, word: str) -> str:
    """Returns a number with its noun: `1 delivery`, `2 deliveries`."""
    if number == 1:
        return f"1 {word}"
    return f"{number} {word[:-1]}ies" if word.endswith("y") else f"{number} {word}s"


# The layout of tables: the columns that fit on a terminal, and their widths.


GAP = 2

Row = Any
"""One item of a list, as the API returns it."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    `least`: minimum width if it is truncated (None: never truncated); `drop`: order in which columns are dropped if there is no
    room, highest first; 0 is never dropped.
    """

    title: str
    cell: Callable[[Row], str]
    least: int | None = None
    drop: int = 0
    right: bool = False
    style: Callable[[str], str] | None = None
    short: Callable[[Row], str] | None = None
    """Replaces `cell` if the table does not fit."""


def column(path: str, title: str = "", show: Callable[[Any], str] = text, **options: Any) -> Column:
    """Returns a column of the member at `path` (dots lead inside), formatted by `show` and titled by its name."""
    return Column(title or path.replace("_", " "), lambda row: show(value_at(row, path)), **options)


def identity(name: str) -> Column:
    """Returns a column of an id; only its start is shown if the table does not fit. Commands accept the start as well."""
    return column(name, short=lambda row: short_id(text(value_at(row, name))))


def columns(names: str) -> list[Column]:
    """Returns a column for each of these names, which are separated by blanks."""
    return [column(name) for name in names.split()]


def described(row: Row, columns: Iterable[Column]) -> Iterator[tuple[str, str]]:
    """Returns the title and the text of each column of one row."""
    return ((column.title, column.cell(row)) for column in columns)


def value_at(row: Row, path: str) -> Any:
    """Returns the value at a path such as `state.reason`; None if there is none."""
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def cells(columns: Sequence[Column], rows: Sequence[Row]) -> list[list[str]]:
    """Returns the texts of all cells."""
    return [[column.cell(row) for column in columns] for row in rows]


def natural(columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> list[int]:
    """Returns the width of each column without any limit."""
    return [
        max([cell_len(column.title), *(cell_len(row[number]) for row in texts)])
        for number, column in enumerate(columns)
    ]


def fitted(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[tuple[Column, int]]:
    """Returns the columns that fit into `room`, with widths, or none; only those with `least` are truncated."""
    chosen = list(zip(columns, widths, strict=True))
    while chosen and _least(chosen) > room:
        expendable = max((column.drop for column, _ in chosen), default=0)
        if expendable == 0:
            return []
        chosen.remove(next(pair for pair in reversed(chosen) if pair[0].drop == expendable))
    return [(column, width) for (column, _), width in zip(chosen, _shared(chosen, room), strict=True)]


def _least(chosen: Sequence[tuple[Column, int]]) -> int:
    return sum(_bound(column, width) for column, width in chosen) + GAP * (len(chosen) - 1)


def _bound(column: Column, width: int) -> int:
    return width if column.least is None else min(width, max(column.least, cell_len(column.title)))


def _shared(chosen: Sequence[tuple[Column, int]], room: int) -> list[int]:
    """Returns the widths: each column gets its minimum, the rest is shared equally among those that need more."""
    widths = [_bound(column, width) for column, width in chosen]
    left = room - GAP * (len(chosen) - 1) - sum(widths)
    while left > 0 and (hungry := [n for n, (_, width) in enumerate(chosen) if widths[n] < width]):
        for number in hungry:
            given = min(max(1, left // len(hungry)), chosen[number][1] - widths[number], left)
            widths[number] += given
            left -= given
    return widths


_GAP = " " * GAP
_STYLES = {
    "SUCCESS": "green",
    "FAILED": "red",
    "RETRYING": "yellow",
    "PENDING": "cyan",
    "SKIPPED": "dim",
}


def status_style(status: str) -> str:
    """Returns the colour of a delivery status."""
    return _STYLES.get(status, "")


class TablePrinter:
    """Prints the output of a command for files and pipes: columns are padded with blanks and never cut."""

    def __init__(self, stream: IO[str], *, headings: bool = True) -> None:
        """`headings`: tables begin with the titles of their columns."""
        self._stream = stream
        self.headings = headings

    def line(self, text: str = "", style: str = "") -> None:  # noqa: ARG002 - plain has no colours
        """Prints one line, or several."""
        self._stream.write(f"{text}\n")

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Prints names and values below each other, without empty values."""
        told = [(name, value) for name, value in facts if value]
        width = max((cell_len(name) for name, _ in told), default=0)
        for name, value in told:
            self.line(f"{_padded(name, width)}{_GAP}{value}")

    def table(self, columns: Sequence[Column], rows: Sequence[Row], nothing: str) -> None:
        """Prints a table, or the text `nothing` if it has no rows."""
        if not rows:
            self.line(nothing)
            return
        texts = [[column.title for column in columns], *cells(columns, rows)]
        widths = natural(columns, texts)
        for row in texts if self.headings else texts[1:]:
            padded = [
                _padded(text, width, right=column.right)
                for text, width, column in zip(row, widths, columns, strict=True)
            ]
            self.line(_GAP.join(padded).rstrip())


class TerminalPrinter(TablePrinter):
    """Prints tables as wide as the terminal; what does not fit is truncated, dropped or printed as facts."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.file)
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
            columns = [replace(each, cell=each.short) if each.short else each for each in columns]
            widths = natural(columns, cells(columns, rows))
        if not (fit := fitted(columns, widths, self.console.width)):
            for number, row in enumerate(rows):
                if number:
                    self.line()
                self.facts(described(row, columns))
            return
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
        for column, width in fit:
            table.add_column(
                column.title,
                width=width,
                no_wrap=True,
                overflow="ellipsis",
                justify="right" if column.right else "left",
            )
        for row in rows:
            table.add_row(*(_styled(column, column.cell(row)) for column, _ in fit))
        self.console.print(table)


class ListView:
    """Prints a list of the API as a table, or `nothing` if it is empty."""

    def __init__(self, nothing: str, *columns: Column) -> None:
        self.nothing = nothing
        self.columns = columns

    def __call__(self, paper: TablePrinter, answer: Any) -> None:
        """Prints the items of an answer."""
        paper.table(self.columns, answer["items"], self.nothing)


View = Callable[[TablePrinter, Any], None]
"""A function that prints an answer of the API."""


def paper(stream: IO[str]) -> TablePrinter:
    """Returns the printer for a terminal or for a plain stream."""
    return TerminalPrinter(Console(file=stream)) if stream.isatty() else TablePrinter(stream)


def _styled(column: Column, text: str) -> Text:
    return Text(text, style=column.style(text) if column.style else "")


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks
