"""Tables fit the terminal, and are never cut where there is none."""

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from bridge.deliveries.cli import DELIVERIES
from bridge.terminal.paper import GAP, Column, TablePrinter, TerminalPrinter, column, fitted, visible
from bridge.terminal.remote import tell_more

ID = "01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77"
ROWS = [
    {"id": ID, "hook": "crm", "type": "customers.customer.create.with.a.long.tail"},
    {"id": ID, "hook": "a-hook-with-quite-a-long-name", "type": "\x1b[31mred \u6f22\u5b57"},
]
COLUMNS = (column("id"), column("hook", least=8), column("type", least=10, drop=1))


def on_terminal(width: int) -> list[str]:
    stream = io.StringIO()
    TerminalPrinter(Console(file=stream, width=width)).table(COLUMNS, ROWS, "none")
    return stream.getvalue().splitlines()


def test_a_pipe_gets_every_column_whole():
    stream = io.StringIO()
    TablePrinter(stream).table(COLUMNS, ROWS, "none")
    head, *rows = stream.getvalue().splitlines()
    assert head.split() == ["id", "hook", "type"]
    assert rows[0].endswith("customers.customer.create.with.a.long.tail")
    assert "\\u001b[31mred" in rows[1]


def test_a_terminal_is_never_overrun_and_ids_are_whole():
    for width in (120, 80, 60, 48):
        lines = on_terminal(width)
        assert all(cell_len(line.rstrip()) <= width for line in lines), width
        assert any(ID in line for line in lines), width


def test_columns_that_have_no_room_go_and_the_last_resort_is_below_each_other():
    assert "type" in on_terminal(80)[0]
    assert "type" not in on_terminal(48)[0]
    assert on_terminal(40)[0].split()[0] == "id"
    assert len(on_terminal(40)) > 3


def test_nothing_is_said_in_words():
    stream = io.StringIO()
    TablePrinter(stream).table(COLUMNS, [], "no deliveries")
    assert stream.getvalue() == "no deliveries\n"


@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.none() | st.integers(1, 20), st.integers(0, 3)),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 200),
)
def test_what_is_chosen_fits_and_only_what_may_be_cut_is(parts: list[tuple[int, int | None, int]], room: int):
    columns = [Column("", str, least, drop) for _, least, drop in parts]
    widths = [width for width, _, _ in parts]
    found = fitted(columns, widths, room)
    assert sum(width for _, width in found) + GAP * (len(found) - 1) <= room
    natural = {id(each): width for each, width in zip(columns, widths, strict=True)}
    for each, width in found:
        assert width <= natural[id(each)]
        assert width == natural[id(each)] or (
            each.least is not None and width >= min(each.least, natural[id(each)])
        )
    if sum(widths) + GAP * (len(widths) - 1) <= room:
        assert [width for _, width in found] == widths


@given(st.text())
def test_no_text_moves_the_cursor(text: str):
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in visible(text))


# ---- lists as commands show them ------------------------------------------------------------------------


def a_row(number: int) -> dict[str, Any]:
    at = f"2026-11-30T15:25:{number:02}.123Z"
    return {
        "id": f"01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a{number:02}", "event_id": ID, "event_type": "customers.customer.create",
        "hook": "hk_abcdefghijklmnop", "hook_name": "crm-sync", "status": "FAILED", "reason": "retries_exhausted",
        "created_at": at, "updated_at": at, "next_attempt_at": None, "attempts": 7,
        "last": {"at": at, "duration_ms": 12.5, "outcome": "status", "status_code": 503, "error": "answered 503"},
    }  # fmt: skip


def listed(width: int | None, answer: Any) -> str:
    stream = io.StringIO()
    paper = TablePrinter(stream) if width is None else TerminalPrinter(Console(file=stream, width=width))
    DELIVERIES(paper, answer)
    tell_more(paper, answer)
    return stream.getvalue()


def test_at_eighty_columns_hook_type_status_and_time_survive_and_ids_shorten():
    text = listed(80, {"items": [a_row(1), a_row(2)], "next": None})
    lines = text.splitlines()
    assert len(lines) == 3
    for word in ("01987a5c-2f3e-7cc1", "customers.", "crm-sync", "FAILED", "2026-11-30T15:25:02Z"):
        assert word in lines[2], word
    assert ID[:30] not in text
    assert "hk_" not in text


def test_where_there_is_room_or_a_pipe_everything_is_there_and_whole():
    for width in (None, 250):
        text = listed(width, {"items": [a_row(3)], "next": None})
        for word in (
            "01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a03",
            "customers.customer.create",
            "503",
            "12.5 ms",
            "7",
            "answered 503",
        ):
            assert word in text, (width, word)


@pytest.mark.parametrize("width", [None, 80])
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"count": 20, "exact": True}, "2 shown, 20 more: --all"),
        ({"count": 1000, "exact": False}, "2 shown, more than 1000 more: --all"),
        ({"count": 0, "exact": False}, "2 shown, there are more: --all"),
        (None, "2 shown, there are more: --all"),
    ],
)
def test_a_list_says_how_much_it_does_not_show_on_a_terminal_and_in_a_pipe(
    width: int | None, more: Any, told: str
):
    answer = {"items": [a_row(1), a_row(2)], "next": "cursor"} | ({"more": more} if more else {})
    assert listed(width, answer).splitlines()[-1] == told
    assert "shown" not in listed(width, {**answer, "next": None})
