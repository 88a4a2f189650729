"""Whatever text or table a message holds, what is stored of it tells it exactly."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.db.rows import headers_json, original, storable, storable_bytes

any_text = st.text(st.characters(codec=None, exclude_categories=())) | st.text(
    st.sampled_from("\\x0\0\ud800\udfffé/u")
)
# Two surrogates that make a pair are one character in JSON, and no UTF-8 decoder ever gives them singly.
unpaired = any_text.map(lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass"))
keys = unpaired.filter(lambda key: key[:1] != "$")
any_table: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | unpaired | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(any_text)
def test_escaped_text_can_be_stored_and_read_back(text: str):
    stored = storable(text)

    assert "\0" not in stored
    stored.encode()
    if stored != text:
        assert original(stored).decode(errors="surrogatepass") == text


@given(st.binary() | st.binary().map(lambda raw: raw + b"\\xff\x00\xff"))
def test_escaped_bytes_can_be_stored_and_read_back(raw: bytes):
    stored, escaped = storable_bytes(raw)

    assert "\0" not in stored
    assert (original(stored) if escaped else stored.encode()) == raw


def test_text_that_needs_nothing_is_left_alone():
    text = "C:\\x00 naïve"

    assert storable(text) is text
    assert storable_bytes(text.encode()) == (text, False)


def test_escapes_are_visible():
    assert storable("a\0\\\ud800") == "a\\x00\\\\\\ud800"
    assert storable_bytes(b"\xff\\\0") == ("\\xff\\\\\\x00", True)


@given(st.dictionaries(keys, any_table))
def test_a_table_of_what_json_knows_is_read_back_as_it_was(table: dict[str, Any]):
    stored = headers_json(table)

    assert (json.loads(stored) if stored else {}) == table
    assert stored is None or ("\0" not in stored and stored.encode())
