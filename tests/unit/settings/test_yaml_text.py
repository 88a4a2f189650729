"""Values written as YAML."""

import pytest

from bridge.settings.yaml import parse, text_of

READ_AS_OTHERS = (
    "*",
    "#",
    "1e3",
    "010",
    "no",
    "null",
    "1:30",
    "<<",
    "",
    "- a",
    "true",
    "0x10",
    "~",
    "a: b",
    "x #y",
)
WITH_BREAKS = ("a\nb\n", " a\n b", "\n", "a\r\nb", "x\u2028y", "\x85", "tab\tx\nz", "a\x00b\n", "\u202e")


@pytest.mark.parametrize("text", [*READ_AS_OTHERS, *WITH_BREAKS, "{{ x }}: b"])
def test_a_text_is_read_as_it_was_written(text):
    assert parse(text_of({"it": text}), "it").value == {"it": text}


def test_other_values_are_read_as_they_were_written():
    value = {"b": [1, 1.5, 1e-7, 1e30, 2**80], "a": {"none": None, "no": False, "empty": [{}, []]}}
    written = text_of(value)
    assert parse(written, "it").value == value
    assert list(parse(written, "it").value) == ["b", "a"]
