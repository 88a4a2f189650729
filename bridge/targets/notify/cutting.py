"""Splitting of long messages into pieces within a service's limit, and escaping of values."""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

ELLIPSIS = "…"
MOST_PIECES = 10
"""Maximum pieces of one message; the rest is replaced by an ellipsis."""

_JOINER = "\u200d"
_TOKEN = re.compile(r"<[^<>]*>|&(?:#\d+|#[xX][0-9a-fA-F]+|\w+);|[^<&]+|[<&]", re.DOTALL)
_TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)[^<>]*?(/?)>", re.DOTALL)
_WORD = re.compile(r"\s*\S+\s?|\s+")
_VOID = frozenset(
    {"br", "hr", "img", "input", "meta", "link", "wbr", "col", "area", "base", "embed", "source"}
)


def cut_text(
    text: str, size: Callable[[str], int], limit: int, *, taken: int = 0, most: int = MOST_PIECES
) -> list[str]:
    """Returns `text` in at most `most` pieces of up to `limit`, as measured by the monotonic function `size`.

    `taken` of the first piece's limit is used already. Cuts are between lines or words if possible, and never inside a
    grapheme cluster. Text beyond the last piece becomes an ellipsis.
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
    """Returns the beginning of `text` and an ellipsis if it is over `limit`, or `always`."""
    if size(text) <= limit and not always:
        return text
    if size(text + ELLIPSIS) <= limit:
        return text + ELLIPSIS
    end = _longest(text, lambda part: size(part + ELLIPSIS), limit)
    return text[: _between_words(text, end) or _between_characters(text, end)].rstrip() + ELLIPSIS


def cut_html(text: str, limit: int, *, taken: int = 0, most: int = MOST_PIECES) -> list[str]:
    """Returns HTML in pieces of up to `limit` characters, as `cut_text`; never cut inside a tag or an entity.

    Elements that are open at a cut are closed there and reopened in the next piece. Elements without visible content,
    comments, and tags nested too deep for the limit are dropped.
    """
    pieces: list[str] = []
    now = _Piece()
    longest = max(1, limit // 4)
    for token in _tokens(_without_comments(text), longest, limit * most + 1):
        tag = _TAG.fullmatch(token)
        if tag and tag[2].lower() not in _VOID and not tag[3]:
            now.close(tag[2].lower()) if tag[1] else now.open(token, tag[2].lower(), limit - longest)
            continue
        is_last = len(pieces) == most - 1
        room = limit - (0 if pieces else taken) - (len(ELLIPSIS) if is_last else 0)
        if now.seen and now.length_with(token) > room:
            if is_last:
                return [*pieces, now.ended(ELLIPSIS)]
            pieces.append(now.ended())
            now = now.following()
        now.add(token)
    return [*pieces, now.ended()] if now.seen or not pieces else pieces


class _Piece:
    """A piece of HTML under construction. A tag is written once its element has content."""

    def __init__(self, opened: Sequence[tuple[str, str]] = (), deep: Mapping[str, int] | None = None) -> None:
        """`opened` are open tags with their names, outermost first; `deep` counts dropped tags by name."""
        self.text = ""
        self.seen = False
        self._opened = list(opened)
        self._names = Counter(name for _, name in self._opened)
        self._taken = sum(_room_of(*each) for each in self._opened)
        self._written = 0
        self._deep = Counter(deep)

    def open(self, tag: str, name: str, room: int) -> None:
        if self._taken + _room_of(tag, name) > room:
            self._deep[name] += 1
        else:
            self._opened.append((tag, name))
            self._names[name] += 1
            self._taken += _room_of(tag, name)

    def close(self, name: str) -> None:
        """Close the innermost element of that name with all its children; ignore an unmatched tag."""
        if self._deep[name]:
            self._deep[name] -= 1
        elif self._names[name]:
            first = max(at for at, (_, inner) in enumerate(self._opened) if inner == name)
            self.text += _ends(self._opened[first : self._written])
            self._names.subtract(inner for _, inner in self._opened[first:])
            self._taken -= sum(_room_of(*each) for each in self._opened[first:])
            del self._opened[first:]
            self._written = min(self._written, first)

    def length_with(self, token: str) -> int:
        return len(self.text) + len(self._waiting()) + len(token) + len(_ends(self._opened))

    def add(self, token: str) -> None:
        self.text += self._waiting() + token
        self._written = len(self._opened)
        self.seen = self.seen or not token.isspace()

    def ended(self, last: str = "") -> str:
        return self.text.rstrip() + last + _ends(self._opened[: self._written])

    def following(self) -> "_Piece":
        return _Piece(self._opened, self._deep)

    def _waiting(self) -> str:
        return "".join(tag for tag, _ in self._opened[self._written :])


def _room_of(tag: str, name: str) -> int:
    return len(tag) + len(f"</{name}>")


def _ends(opened: Sequence[tuple[str, str]]) -> str:
    return "".join(f"</{name}>" for _, name in reversed(opened))


def _without_comments(text: str) -> str:
    kept, at = "", 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept += text[at:start]
        at = end + 3
    return kept + text[at:]


def _longest(text: str, size: Callable[[str], int], room: int) -> int:
    """Returns how many characters of `text` fit into `room`, at least one so that splitting terminates."""
    fits, over = 1, min(len(text), max(room, 1)) + 1
    while over - fits > 1:
        middle = (fits + over) // 2
        if size(text[:middle]) <= room:
            fits = middle
        else:
            over = middle
    return fits


def _between_words(text: str, end: int) -> int:
    """Returns the end of a line, else of a word, in the last half before `end`; 0 if there is none."""
    if end < len(text) and text[end].isspace():
        return end
    first = end // 2
    for gap in ("\n", " "):
        if (at := text.rfind(gap, first, end)) > 0:
            return at
    return 0


def _between_characters(text: str, end: int) -> int:
    """Returns the last boundary of a grapheme cluster up to `end`: accents, flags, joined emoji."""
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


def _tokens(text: str, longest: int, all_room: int) -> Iterator[str]:
    """Yield tags, entities, and words with the following blanks; words of at most `longest` characters.

    Of a word only `all_room` characters are yielded: more than all pieces together hold.
    """
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token[0] in "<&":
            yield token
            continue
        for found in _WORD.finditer(token):
            word = found[0][:all_room]
            yield from cut_text(word, len, longest, most=len(word)) if len(word) > longest else [word]


# Escaping of events' values in messages, so that none of them acts as markup.


_LONE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BLANKS = re.compile(r"[\s\x00-\x1f\x7f\x85\u2028\u2029]+")
_ACTS = re.compile(
    r"""
      \\(?![A-Za-z0-9\ ])              # a backslash that would escape what follows
    | [`*\[\]<~]
    | (?<![^\W_])_ | _(?![^\W_])       # inside a word an underscore is only itself
    | \|(?=\|) | (?<=\|)\|
    | &(?=\#?[0-9A-Za-z]{1,32};)
    """,
    re.VERBOSE,
)
_BEGINS = re.compile(
    r"^([ \t]*(?:\d{1,9}(?=[.)]\s))?)([#>|]|(?<=\d)[.)]|[-+](?=[-\s#]|$)|=(?==*\s*$))", re.MULTILINE
)
_INDENTED = re.compile(r"^(?: {4,}|[ ]*\t[ \t]*)", re.MULTILINE)
_LINK = re.compile(r"(https?://[^\s<>]+)")
_IN_LINK = re.compile(r"[`\[\]] | \|(?=\|) | (?<=\|)\|", re.VERBOSE)
"""Characters that act inside an address that a service links automatically; a backslash would become a part of it."""
_NO_MARK_OF_SLACK = re.compile(r"\\([!-/:-@\[-`{-~])")
_SPOILER = re.compile(r"\\. | (`+)(?!`).*?(?<!`)\1(?!`) | \|(?=\|) | (?<=\|)\|", re.VERBOSE | re.DOTALL)
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all)\b|\*\*)|(?<=<)@", re.IGNORECASE)
_NO_BREAK = "\u200b"


def clean(text: str) -> str:
    """Returns `text` without what services reject: lone surrogates (become U+FFFD) and control characters."""
    return _CONTROL.sub("", _LONE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str) -> str:
    """Returns `text` on one line: a title may become a mail header, where a line break would inject another header."""
    return _BLANKS.sub(" ", text).strip()


def escape_html(text: str) -> str:
    """Returns `text` escaped for HTML, attributes included; line breaks are kept."""
    return html.escape(text).replace("\n", "<br/>")


def escape_markdown(text: str, ampersand: str = r"\&", *, links: bool = False) -> str:
    """Returns `text` escaped for Markdown (CommonMark and Discord's dialect), with backslashes only where needed.

    Other characters stay unescaped, because services without Markdown show every backslash. `ampersand` replaces one
    that begins an entity: Python-Markdown ignores a backslash there and needs `&amp;`. `links`: the service links
    addresses, so `*`, `_` and `~` in them are left alone.
    """
    text = _INDENTED.sub(lambda indent: "\u00a0" * len(indent[0].expandtabs(4)), text)  # not code
    parts = _LINK.split(text) if links else [text]
    parts[::2] = [
        _ACTS.sub(lambda found: ampersand if found[0] == "&" else f"\\{found[0]}", part)
        for part in parts[::2]
    ]
    parts[1::2] = [_IN_LINK.sub(r"\\\g<0>", part) for part in parts[1::2]]
    return _BEGINS.sub(r"\1\\\2", "".join(parts))


def escape_slack(text: str) -> str:
    """Returns `text` escaped for Markdown that Apprise rewrites for Slack.

    Slack has no escape character and shows each backslash that Apprise leaves. So a backslash is added only before `*`,
    `_`, `~` and backticks that would act as markup, and where Apprise removes it again.
    """
    escaped = escape_markdown(text, "&")
    return _NO_MARK_OF_SLACK.sub(lambda pair: pair[0] if pair[1] in "*_~`<>[]#\\" else pair[1], escaped)


def escape_spoilers(markdown: str) -> str:
    """Returns Markdown in which `||`, Discord's spoiler, is escaped; code is unchanged."""
    return _SPOILER.sub(lambda found: f"\\{found[0]}" if found[0] == "|" else found[0], markdown)


def disarm(text: str) -> str:
    """Returns `text` without mentions: @everyone, @here, @channel, @all and <@id> get a zero-width space."""
    return _CALLS.sub("@" + _NO_BREAK, text)
