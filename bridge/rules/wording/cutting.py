"""Long messages in pieces that a service takes."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

ELLIPSIS = "…"
MOST_PIECES = 10
"""Pieces of one message; what is left then ends in an ellipsis."""

_JOINER = "\u200d"
_TOKEN = re.compile(r"<!--.*?-->|<[^<>]*>|&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);|[^<&]+|[<&]", re.DOTALL)
_TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)[^<>]*?(/?)>", re.DOTALL)
_VOID = frozenset(
    {"br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base", "embed", "source"}
)

_INLINE = frozenset({"a", "b", "code", "del", "em", "i", "ins", "s", "span", "strong", "u"})


def cut_text(
    text: str, size: Callable[[str], int], limit: int, *, taken: int = 0, most: int = MOST_PIECES
) -> list[str]:
    """`text` in at most `most` pieces of up to `limit`, as `size` measures them; it grows with the text.

    `taken` of the first piece's room is in use already. Cuts fall between lines or words where there are any
    near, and never inside of what is seen as one character. What does not fit any more becomes an ellipsis.
    """
    pieces: list[str] = []
    rest = text
    while rest and len(pieces) < most:
        room = limit - (0 if pieces else taken)
        if size(rest) <= room:
            return [*pieces, rest]
        end = _longest(rest, size, room)
        end = _between_words(rest, end) or _between_characters(rest, end)
        pieces.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    if rest:
        room = limit - (taken if len(pieces) == 1 else 0)
        pieces[-1] = shorten(pieces[-1], size, room, always=True)
    return pieces or [""]


def shorten(text: str, size: Callable[[str], int], limit: int, *, always: bool = False) -> str:
    """The beginning of `text` and an ellipsis if it is over `limit`, or `always`."""
    if size(text) <= limit and not always:
        return text
    if size(text + ELLIPSIS) <= limit:
        return text + ELLIPSIS
    end = _longest(text, lambda part: size(part + ELLIPSIS), limit)
    return text[: _between_words(text, end) or _between_characters(text, end)].rstrip() + ELLIPSIS


def cut_html(text: str, limit: int, *, taken: int = 0, most: int = MOST_PIECES) -> list[str]:
    """As `cut_text` for HTML of up to `limit` characters a piece: never inside a tag or an entity.

    What is open at a cut is closed there and opened again in the next piece.
    """
    pieces: list[str] = []
    now = ""
    opened: list[str] = []
    for token in _tokens(text, max(1, limit // 4)):
        after = _open_after(opened, token)
        if _is_empty_pair(opened, token) and now.endswith(opened[-1]):
            now, opened = now.removesuffix(opened[-1]), after  # else pieces could hold nothing but tags
            continue
        room = limit - (0 if pieces else taken)
        if _seen(now) and len(now) + len(token) + len(_closing(after)) > room:
            if len(pieces) == most - 1:
                return [*pieces, now.rstrip() + ELLIPSIS + _closing(opened)]
            pieces.append(now.rstrip() + _closing(opened))
            now = "".join(opened)
        now, opened = now + token, after
    return [*pieces, now + _closing(opened)] if _seen(now) or not pieces else pieces


def _longest(text: str, size: Callable[[str], int], room: int) -> int:
    """Characters of `text` that fit into `room`, at least one so that there is an end."""
    fits, over = 1, min(len(text), max(room, 1)) + 1
    while over - fits > 1:
        middle = (fits + over) // 2
        if size(text[:middle]) <= room:
            fits = middle
        else:
            over = middle
    return fits


def _between_words(text: str, end: int) -> int:
    """A place in the last half before `end` where a line, else a word ends; 0 if there is none."""
    if end < len(text) and text[end].isspace():
        return end
    first = end // 2
    for gap in ("\n", " "):
        if (at := text.rfind(gap, first, end)) > 0:
            return at
    return 0


def _between_characters(text: str, end: int) -> int:
    """The last place up to `end` where a character ends that is drawn as one: accents, flags, joined emoji."""
    at = end
    while at > 1 and at < len(text) and _joined(text, at):
        at -= 1
    return at if at > 1 else end


def _joined(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if _JOINER in (before, after) or before == "\\":
        return True
    if _is_flag(before) and _is_flag(after):
        run = 0
        while run < at and _is_flag(text[at - 1 - run]):
            run += 1
        return run % 2 == 1
    return (
        unicodedata.combining(after) != 0
        or after in "\ufe0e\ufe0f\u20e3"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _tokens(text: str, longest: int) -> Iterator[str]:
    """Tags, entities, and words with the blanks behind them; words of at most `longest` characters."""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token[0] in "<&":
            yield token
            continue
        for word in re.findall(r"\s*\S+\s?|\s+", token):
            yield from cut_text(word, len, longest, most=len(word)) if len(word) > longest else [word]


def _open_after(opened: Sequence[str], token: str) -> list[str]:
    tag = _TAG.fullmatch(token)
    if tag is None or tag[2].lower() in _VOID or tag[3]:
        return list(opened)
    if not tag[1]:
        return [*opened, token]
    for index in range(len(opened) - 1, -1, -1):
        if _name(opened[index]) == tag[2].lower():
            return list(opened[:index])
    return list(opened)


def _is_empty_pair(opened: Sequence[str], token: str) -> bool:
    """Whether the token ends what was opened last, and it is of a kind that shows nothing by itself."""
    tag = _TAG.fullmatch(token)
    return bool(
        tag and tag[1] and opened and tag[2].lower() in _INLINE and _name(opened[-1]) == tag[2].lower()
    )


def _name(opening: str) -> str:
    tag = _TAG.fullmatch(opening)
    return tag[2].lower() if tag else ""


def _closing(opened: Sequence[str]) -> str:
    return "".join(f"</{_name(opening)}>" for opening in reversed(opened))


def _seen(piece: str) -> bool:
    """Whether anything but tags and blanks is in it."""
    return bool(re.sub(r"<[^<>]*>", "", piece).strip())
