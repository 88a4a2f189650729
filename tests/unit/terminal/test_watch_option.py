"""--watch may stand with and without seconds."""

import pytest

from bridge.terminal.groups import with_seconds


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--watch", "--watch 2"),
        ("--watch 5 --json", "--watch 5 --json"),
        ("-w crm", "-w 2 crm"),
        ("crm --watch --json", "crm --watch 2 --json"),
        ("--watch=0.5 crm", "--watch=0.5 crm"),
        ("-- --watch", "-- --watch"),
    ],
)
def test_seconds_are_put_in_where_none_are_given(typed: str, meant: str):
    assert " ".join(with_seconds(typed.split())) == meant
