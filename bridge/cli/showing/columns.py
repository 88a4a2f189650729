"""Tables: which columns a terminal has room for, and how wide each may be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len

from bridge.cli.showing.words import short_id, text

GAP = 2

Row = Any
"""One entry of a list as the API answered it."""


@dataclass(frozen=True, slots=True)
class Column:
    """What stands in one column.

    `least`: it may be cut to so many characters (None: never); `drop`: 0 always stays, of the others the highest goes
    first where there is no room.
    """

    title: str
    cell: Callable[[Row], str]
    least: int | None = None
    drop: int = 0
    right: bool = False
    style: Callable[[str], str] | None = None
    short: Callable[[Row], str] | None = None
    """What stands there where not everything has room, in place of `cell`."""


def shortened(columns: Sequence[Column]) -> list[Column]:
    """The columns with short cells, where they have such."""
    return [replace(column, cell=column.short) if column.short else column for column in columns]


def identity(name: str, title: str = "", **options: Any) -> Column:
    """A column of an id, of which the beginning is shown where there is little room; commands take that too."""
    return Column(
        title or name,
        lambda row: text(value_at(row, name)),
        short=lambda row: short_id(text(value_at(row, name))),
        **options,
    )


def member(name: str, title: str = "", **options: Any) -> Column:
    """A column of the member of this name; dots lead into objects."""
    return Column(title or name, lambda row: text(value_at(row, name)), **options)


def value_at(row: Row, path: str) -> Any:
    """What stands at `state.reason`; None where there is nothing."""
    for name in path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


@dataclass(frozen=True, slots=True)
class Fitted:
    """The columns that there is room for, each with its width; no columns: there is room for none."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]


def cells(columns: Sequence[Column], rows: Sequence[Row]) -> list[list[str]]:
    """The texts of all rows."""
    return [[column.cell(row) for column in columns] for row in rows]


def natural(columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column would be if there were all the room in the world."""
    return [
        max([cell_len(column.title), *(cell_len(row[number]) for row in texts)])
        for number, column in enumerate(columns)
    ]


def fitted(columns: Sequence[Column], widths: Sequence[int], room: int) -> Fitted:
    """As many columns as go into `room`, none cut that must not be, and those that may be cut as wide as can be."""
    chosen = list(zip(columns, widths, strict=True))
    while chosen and _least(chosen) > room:
        expendable = max((column.drop for column, _ in chosen), default=0)
        if expendable == 0:
            return Fitted((), ())
        chosen.remove(next(pair for pair in reversed(chosen) if pair[0].drop == expendable))
    return Fitted(tuple(column for column, _ in chosen), tuple(_shared(chosen, room)))


def _least(chosen: Sequence[tuple[Column, int]]) -> int:
    return sum(_bound(column, width) for column, width in chosen) + GAP * (len(chosen) - 1)


def _bound(column: Column, width: int) -> int:
    return width if column.least is None else min(width, max(column.least, cell_len(column.title)))


def _shared(chosen: Sequence[tuple[Column, int]], room: int) -> list[int]:
    """Everybody the least, and what is left over to those who want more, in equal parts."""
    widths = [_bound(column, width) for column, width in chosen]
    left = room - GAP * (len(chosen) - 1) - sum(widths)
    while left > 0 and (hungry := [n for n, (_, width) in enumerate(chosen) if widths[n] < width]):
        for number in hungry:
            given = min(max(1, left // len(hungry)), chosen[number][1] - widths[number], left)
            widths[number] += given
            left -= given
    return widths
