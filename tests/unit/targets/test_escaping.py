"""Values from events do not act as markup, and stay readable."""

import html
import re

import pytest
from apprise.conversion import markdown_to_html
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.targets.notify.cutting import (
    clean,
    disarm,
    escape_html,
    escape_markdown,
    escape_slack,
    escape_spoilers,
    one_line,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
MARKS = st.text(st.sampled_from("\\`*_{}[]()<>#+-.!|~&=;: \nab1@"), max_size=60)


@given(TEXT)
def test_html_shows_the_text_and_has_no_tag_but_line_breaks(text: str) -> None:
    escaped = escape_html(text)
    assert html.unescape(escaped.replace("<br/>", "\n")) == text
    assert not re.search(r"""[<"']""", escaped.replace("<br/>", ""))


@given(MARKS)
@example("**bold**")
@example("\\*a*")
@example("a_b_ _c_ &amp; <b>")
def test_markdown_shows_the_text_without_any_element(text: str) -> None:
    page = markdown_to_html("x " + escape_markdown(text, "&amp;"))
    assert not re.search(r"</?(em|strong|code|a|img|h\d|blockquote|b|del)\b", page)


@pytest.mark.parametrize(
    "text",
    [
        "plain words.",
        "snake_case_name",
        "a - b + c = 5 > 4",
        "-5 °C",
        "C:\\Users\\joe",
        "R&D",
        "(a) b! 1.5",
        "a | b",
        "no #1234",
    ],
)
def test_what_cannot_act_stays_as_it_is(text: str) -> None:
    assert escape_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("*a* _b_", "\\*a\\* \\_b\\_"),
        ("# a\n> b\n- c\n1. d", "\\# a\n\\> b\n\\- c\n1\\. d"),
        ("[a](b) <b> `c` ~~d~~", "\\[a\\](b) \\<b> \\`c\\` \\~\\~d\\~\\~"),
        ("||a|| &lt;", "\\|\\|a\\|\\| \\&lt;"),
        ("\\* \\", "\\\\\\* \\\\"),
        ("---\n===\n  | a", "\\---\n\\===\n  \\| a"),
        ("#1", "\\#1"),
    ],
)
def test_what_would_act_gets_a_backslash(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize(
    "text", ["@everyone", "@HERE now", "<@123>", "<@&9>", "@channel", "@all", "@**all**"]
)
def test_nobody_is_called(text: str) -> None:
    assert disarm(text) == text.replace("@", "@\u200b")


@pytest.mark.parametrize("text", ["joe@example.net", "@joe", "@allison", "a@b", "me @ home"])
def test_other_signs_stay(text: str) -> None:
    assert disarm(text) == text


@given(st.text())
def test_a_title_is_one_line_that_can_be_sent(text: str) -> None:
    title = one_line(clean(text))
    assert len(title.splitlines()) <= 1
    title.encode()


@given(st.text())
def test_clean_text_can_be_sent_and_keeps_its_lines(text: str) -> None:
    cleaned = clean(text)
    cleaned.encode()
    assert "\r" not in cleaned
    assert "\x00" not in cleaned
    assert clean(cleaned) == cleaned


def test_lone_surrogates_become_replacement_characters() -> None:
    assert clean("a\ud83db\x00\r\nc\td") == "a\ufffdb\nc\td"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("see https://e.example/_a_/*b*?c=~d~ _e_", "see https://e.example/_a_/*b*?c=~d~ \\_e\\_"),
        ("_https://e.example/_a_<b>", "\\_https://e.example/_a_\\<b>"),
        ("https://e.example/`x`[y](z)", "https://e.example/\\`x\\`\\[y\\](z)"),
    ],
)
def test_an_address_that_becomes_a_link_by_itself_stays_whole(text: str, escaped: str) -> None:
    assert escape_markdown(text, links=True) == escaped


def test_small_print_of_discord_is_text() -> None:
    assert escape_markdown("-# small") == "\\-# small"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("&lt; R&D - 1.\n- item\n1. one\n---", "&lt; R&D - 1.\n- item\n1. one\n---"),
        ("*a* _b_ `c` ~d~", "\\*a\\* \\_b\\_ \\`c\\` \\~d\\~"),
        ("||a|| [b] <c>", "||a|| \\[b\\] \\<c>"),
    ],
)
def test_slack_gets_backslashes_only_where_markup_would_arise(text: str, escaped: str) -> None:
    assert escape_slack(text) == escaped


@pytest.mark.parametrize(
    ("made", "escaped"),
    [
        ("a ||b|| c", "a \\|\\|b\\|\\| c"),
        ("a | b `x || y` \\| ``z ` || ``", "a | b `x || y` \\| ``z ` || ``"),
        ("\\` || \\`", "\\` \\|\\| \\`"),
    ],
)
def test_bars_hide_nothing_and_code_keeps_them(made: str, escaped: str) -> None:
    assert escape_spoilers(made) == escaped


@given(MARKS)
def test_without_two_bars_nothing_changes(text: str) -> None:
    single = text.replace("|", "")
    assert escape_spoilers(single) == single
