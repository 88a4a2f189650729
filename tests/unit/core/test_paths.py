"""Whose request it is, by its path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.inlet import PathTable, canonical, check_path, type_in_path

TABLE = PathTable(
    exact=[("/in/a", "a"), ("/tiki-webhooks.php", "a"), ("/x", "x"), ("/x/y", "y")],
    below=[("/x", "x"), ("/x/y", "y")],
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/in/a", ("a", "")),
        ("/tiki%2Dwebhooks%2ephp", ("a", "")),
        ("/tiki-webhooks.php/", None),
        ("/TIKI-webhooks.php", None),
        ("/x", ("x", "")),
        ("/x/", ("x", "/")),
        ("/x/z", ("x", "/z")),
        ("/x/y", ("y", "")),
        ("/x/y/z%2f/", ("y", "/z%2F/")),
        ("/xy", None),
        ("/x%2Fz", None),
        ("", None),
        ("*", None),
        ("/", None),
    ],
)
def test_the_longest_path_has_the_request(path: str, found: tuple[str, str] | None):
    assert TABLE.find(path) == found


@pytest.mark.parametrize(
    "path", ["/a", "/a/*", "/tiki-webhooks.php", "/", "/healthy", "/in-", "/apis/*", "/a%20b"]
)
def test_these_are_paths(path: str):
    check_path(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/health", "/health is the bridge's own"),
        ("/health/*", "/health is the bridge's own"),
        ("/api/v1/mine", "/api is the bridge's own"),
        ("/%61pi/x", "/api is the bridge's own"),
        ("/in/other", "/in is the bridge's own"),
        ("/ui/", "/ui is the bridge's own"),
        ("/openapi.json", "/openapi.json is the bridge's own"),
        ("/*", "every path"),
        ("/a?b", "no `\\?`"),
        ("/a*", "only at the end"),
        ("/a/*/b", "only at the end"),
        ("/a%2", "two hex digits"),
    ],
)
def test_these_are_none(path: str, said: str):
    with pytest.raises(ValueError, match=said):
        check_path(path)


@given(st.text(max_size=50))
def test_any_text_has_one_spelling(path: str):
    try:
        path.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return
    assert canonical(canonical(path)) == canonical(path)
    assert canonical(path).isascii()


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        ("", ""),
        ("/", ""),
        ("/content/item/save", "content.item.save"),
        ("//a%20b//c.d/", "a b.c.d"),
        ("/%FF", "�"),
    ],
)
def test_slashes_become_dots(rest: str, kind: str):
    assert type_in_path(rest) == kind
