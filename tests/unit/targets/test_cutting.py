"""Long messages are cut into pieces that fit, and nothing is lost or broken at the cuts."""

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.targets.notify.cutting import ELLIPSIS, cut_html, cut_text, shorten

WORDS = st.text(st.sampled_from("ab <&😀é\n\u0301"), min_size=1, max_size=300)
UNBOUNDED = 10_000


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def encoded(text: str) -> int:
    return len(text.encode())


@given(WORDS, st.integers(8, 60), st.sampled_from([len, encoded, lambda text: len(html.escape(text))]))
def test_every_piece_fits_and_together_they_are_the_text(text: str, limit: int, size: Any) -> None:
    pieces = cut_text(text, size, limit, most=UNBOUNDED)
    assert all(size(piece) <= limit for piece in pieces)
    assert squeezed("".join(pieces)) == squeezed(text)


@given(WORDS, st.integers(8, 60), st.integers(0, 7))
def test_the_first_piece_leaves_room_for_a_title(text: str, limit: int, taken: int) -> None:
    first, *_ = cut_text(text, len, limit, taken=taken)
    assert len(first) + taken <= limit


@given(WORDS, st.integers(8, 60), st.integers(1, 3))
def test_more_than_the_most_pieces_end_in_an_ellipsis(text: str, limit: int, most: int) -> None:
    pieces = cut_text(text, len, limit, most=most)
    assert 1 <= len(pieces) <= most
    assert all(len(piece) <= limit for piece in pieces)
    lost = squeezed("".join(pieces)) != squeezed(text)
    assert pieces[-1].endswith(ELLIPSIS) == lost


def test_cuts_fall_between_words_and_rather_between_lines() -> None:
    assert cut_text("one two three four", len, 9) == ["one two", "three", "four"]
    assert cut_text("aaa bbb\nccc ddd eee", len, 10) == ["aaa bbb", "ccc ddd", "eee"]


@pytest.mark.parametrize("joined", ["👨‍👩‍👧‍👦", "🇨🇿", "e\u0301", "👍🏽", "1\ufe0f\u20e3", "\\*"])
def test_what_is_seen_as_one_character_is_not_cut(joined: str) -> None:
    for limit in range(len(joined) + 1, 3 * len(joined)):
        for piece in cut_text(joined * 12, len, limit, most=UNBOUNDED):
            assert set(re.split(re.escape(joined), piece)) == {""}


@given(WORDS, st.integers(2, 30))
def test_shortened_text_fits_and_says_so(text: str, limit: int) -> None:
    short = shorten(text, len, limit)
    assert len(short) <= limit
    assert short == text or short.endswith(ELLIPSIS)


class _Strict(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        assert tag == "br"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(piece: str) -> str:
    parser = _Strict()
    parser.feed(piece)
    parser.close()
    assert parser.open == []
    return parser.text


NODES = st.recursive(
    st.one_of(
        st.text(st.sampled_from("ab <&😀 "), min_size=1, max_size=40).map(html.escape), st.just("<br/>")
    ),
    lambda inner: st.tuples(
        st.sampled_from(["b", "i", 'a href="http://x/"']), st.lists(inner, max_size=4)
    ).map(lambda made: f"<{made[0]}>{''.join(made[1])}</{made[0].split()[0]}>"),
    max_leaves=12,
)


@given(NODES)
@example('<a href="http://x/">' + '<a href="http://x/"></a>' * 7 + "</a>")
@example('<a href="http://x/">' * 7 + "deep" + "</a>" * 7)
@example(
    '<a href="http://x/"><b></b><a href="http://x/"></a><a href="http://x/"></a><a href="http://x/">'
    '<a href="http://x/"></a><a href="http://x/"></a></a></a>'
)
def test_every_piece_of_html_is_whole(page: str) -> None:
    limit = 150
    pieces = cut_html(page, limit, most=UNBOUNDED)
    assert all(len(piece) <= limit for piece in pieces)
    assert squeezed("".join(map(read, pieces))) == squeezed(read(page))


@pytest.mark.parametrize("hostile", ["<b>", "<b></b>", "<b>x", "<!--", "</b>", "<b>x</b>", "&amp;", "<"])
def test_much_of_anything_is_cut_at_once(hostile: str) -> None:
    pieces = cut_html(hostile * 20_000, 4000)
    assert all(len(piece) <= 4000 for piece in pieces)


def test_tags_that_nest_without_end_take_no_longer_each() -> None:
    assert cut_html("<i>" * 300_000 + "seen", 4000) == ["<i>" * 428 + "seen" + "</i>" * 428]
    assert cut_html("<i>" * 428 + "</b>" * 200_000, 4000) == [""]


def test_a_word_without_end_is_cut_like_a_short_one() -> None:
    pieces = cut_html("e" + "\u0301" * 4_000_000, 4000)
    assert (len(pieces), pieces[-1][-1]) == (10, ELLIPSIS)
    assert all(len(piece) <= 4000 for piece in pieces)


def test_comments_show_nothing() -> None:
    assert cut_html("a<!-- <b> -->b<!-- no end", 100) == ["ab<!-- no end"]


def test_what_is_open_at_a_cut_is_opened_again() -> None:
    page = "<b>" + "word " * 10 + '<a href="u">link text</a></b>'
    assert cut_html(page, 40) == [
        "<b>word word word word word word</b>",
        "<b>word word word word</b>",
        '<b><a href="u">link text</a></b>',
    ]


def test_an_entity_is_never_cut() -> None:
    for piece in cut_html("&amp;" * 100, 33, most=UNBOUNDED):
        assert re.fullmatch("(&amp;)+", piece)


def test_html_over_the_most_pieces_ends_in_an_ellipsis() -> None:
    pieces = cut_html("<i>" + "word " * 100 + "</i>", 50, most=2)
    assert len(pieces) == 2
    assert pieces[-1].endswith(f"word{ELLIPSIS}</i>")
