"""Cells of CSV files."""

import pytest

from bridge.ui.export import safe


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str):
    assert safe(text) == f"'{text}"


def test_other_cells_stay_as_they_are():
    assert [safe(value) for value in (None, 12.5, "a=b", "")] == ["", "12.5", "a=b", ""]
