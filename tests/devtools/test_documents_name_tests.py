"""What documents say is proved by a test names one that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix() for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
NAMED = re.compile(r"`(?P<file>tests/[\w/.-]+\.py)::(?P<test>\w+)(?:\[[^`]*\])?`")
FILE_ONLY = re.compile(r"`(?P<file>tests/[\w/.-]+\.py)`")


@cache
def names_in(file: str) -> frozenset[str]:
    """The names of the tests in a file; none where there is no such file."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text())
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def missing(text: str) -> list[str]:
    """The tests and files of tests that the text names and that do not exist."""
    tests = [f"{file}::{test}" for file, test in NAMED.findall(text) if test not in names_in(file)]
    return tests + [file for file in FILE_ONLY.findall(text) if not names_in(file)]


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_a_page_names_exists(page: str):
    assert missing((ROOT / page).read_text()) == []


def test_a_test_that_was_renamed_is_found_out():
    here = Path(__file__).relative_to(ROOT).as_posix()
    mine = test_a_test_that_was_renamed_is_found_out.__name__
    text = f"`{here}::{mine}` `{here}::{mine}[3-a/b]` `{here}::test_of_before` `tests/unit/gone.py` `{here}`"
    assert missing(text) == [f"{here}::test_of_before", "tests/unit/gone.py"]


def test_the_index_leads_to_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
