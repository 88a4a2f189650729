"""The conversion of a message for a service: its markup, its limits, its title.

A hook's `body` is converted once into the service's markup, then split into pieces that are each complete. Apprise's
own splitting may cut inside a tag, and repeats all pieces when one of them fails.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from apprise import NotifyFormat
from apprise.conversion import commonmark_repair_chunk, convert_between
from apprise.plugins.base import NotifyBase

from bridge.targets.notify import cutting

Escape = Callable[[str], str]
Format = Literal["text", "markdown", "html"]

_TEXT, _MARKDOWN, _HTML = NotifyFormat.TEXT, NotifyFormat.MARKDOWN, NotifyFormat.HTML
_READS: dict[str, dict[NotifyFormat, NotifyFormat]] = {
    # Reads Markdown although Apprise declares text.
    "discord": {_TEXT: _MARKDOWN, _HTML: _MARKDOWN},
    "ntfy": {_MARKDOWN: _MARKDOWN},
    "ntfys": {_MARKDOWN: _MARKDOWN},
    # Pushover's plugin would convert Markdown to HTML after splitting.
    "pover": {_MARKDOWN: _HTML},
    # Slack has no escape character, so Markdown converted from HTML would show backslashes.
    "slack": {_HTML: _TEXT},
    # The only markup of Telegram in which no input is rejected as malformed.
    "tgram": {_TEXT: _HTML, _MARKDOWN: _HTML},
}
_MARKS_UP = frozenset({"mmost", "mmosts"})
"""Services that read Markdown in Apprise's text format."""
_CALLS_PEOPLE = frozenset({"discord", "mmost", "mmosts", "nctalk", "nctalks", "rocket", "rockets", "zulip"})
"""Services that notify people named in a text. Slack does so with <!channel>, where < is always escaped."""
# fmt: off
_NO_LIMIT = frozenset({
    "apprise", "apprises", "form", "forms", "json", "jsons", "mailto", "mailtos", "mqtt", "mqtts", "xml",
    "xmls",
})
# fmt: on
"""Services for data or mail of any length, which are never split."""
_BYTES = {"ntfy": 4096, "ntfys": 4096}
"""Services that count bytes of UTF-8, and their limits."""
_BLOCK, _BLOCK_TITLE = 3000, 150
"""Maximum characters of a section and of a header in Slack's blocks (?blocks=yes)."""
_INTO_BLOCK = re.compile(
    r"(?i)(?:(?<=[^\s>])|(?<=</[abiu]>)|(?<=</em>)|(?<=</code>)|(?<=</span>)|(?<=</strong>))\s*"
    r"(?=<(?:p|div|h[1-6]|[uo]l|table|blockquote|pre)\b)"
)
"""The places where a block follows text: Pushover's plugin breaks lines only at the ends of blocks."""
_REPAIR = 40
"""Maximum characters that closing and reopening may add to a piece of Markdown."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One post: the arguments for the plugin."""

    title: str
    body: str
    format: NotifyFormat


class Wording:
    """The wording of messages for one service. `overflow` is the URL's option: split, truncate or upstream."""

    def __init__(self, scheme: str, plugin: NotifyBase, written: Format, overflow: str) -> None:
        self._plugin: Any = plugin
        self._written = NotifyFormat(written)
        chosen = plugin.resolve_format(self._written)
        self._reads = _READS.get(scheme, {}).get(self._written, chosen)
        self._marks_up = self._reads == _MARKDOWN or scheme in _MARKS_UP
        self._calls_people = scheme in _CALLS_PEOPLE
        self._rewritten_for_slack = scheme == "slack" and self._reads == _MARKDOWN
        self._glues_paragraphs = scheme == "pover" and self._written == _HTML
        self._in_bytes = scheme in _BYTES
        self._limit = _limit(scheme, self._plugin, overflow)
        self._most = {"most": 1} if overflow == "truncate" else {}
        # Discord's plugin adds the title to the text, unless it creates an embed (?format=markdown).
        embeds = "format=markdown" in plugin.url(privacy=True)
        self._title_field = self._plugin.title_maxlen > 0 and (scheme != "discord" or embeds)
        if scheme in _BYTES and self._reads == _MARKDOWN:
            self._plugin.notify_format = _MARKDOWN  # ntfy's plugin derives the format from this

    @property
    def escape(self) -> Escape | None:
        """Returns the escape function for values of placeholders; None for text, which is escaped as a whole."""
        return None if self._written == _TEXT else self._escaped

    def _escaped(self, value: str) -> str:
        value = cutting.disarm(value) if self._calls_people else value
        match self._written:
            case NotifyFormat.HTML:
                return cutting.escape_html(value)
            case NotifyFormat.MARKDOWN if self._rewritten_for_slack:
                return cutting.escape_slack(value)
            case NotifyFormat.MARKDOWN if self._reads == _HTML:
                return cutting.escape_markdown(value, "&amp;")
            case NotifyFormat.MARKDOWN if self._marks_up or self._reads != _TEXT:
                return cutting.escape_markdown(value, links=True)
            case _:
                return value  # Markdown for a service that shows it verbatim, backslashes included.

    def pieces(self, title: str, body: str) -> list[Piece]:
        """Returns the posts of the message; `title` is plain text on one line."""
        if not body.strip():
            title, body = "", title
            made = self._from_text(body)
        else:
            made = self._converted(body)
        head = "" if self._title_field or not title else self._headline(title)
        bodies = self._cut(made, len(head))
        bodies[0] = head + bodies[0]
        if not self._title_field:
            return [Piece("", text, self._reads) for text in bodies]
        return [
            Piece(self._titled(title, number, len(bodies)), text, self._reads)
            for number, text in enumerate(bodies, 1)
        ]

    # Conversion into the service's markup.

    def _converted(self, body: str) -> str:
        if self._written == _TEXT:
            return self._from_text(cutting.disarm(body) if self._calls_people else body)
        if self._glues_paragraphs:
            body = _INTO_BLOCK.sub("<br/>", body)
        if self._limit and (self._written, self._reads) == (_MARKDOWN, _HTML):
            # Python-Markdown is quadratic in a paragraph's length, and no more than this is ever shown.
            body = cutting.shorten(body, len, 2 * cutting.MOST_PIECES * self._limit)
        made = str(convert_between(self._written, self._reads, body))
        match self._written, self._reads:
            case NotifyFormat.HTML, NotifyFormat.TEXT if self._marks_up:
                return cutting.escape_markdown(made, links=True)
            case NotifyFormat.HTML, NotifyFormat.MARKDOWN:
                return cutting.escape_spoilers(made)
            case _:
                return made

    def _from_text(self, text: str) -> str:
        if self._marks_up:
            return cutting.escape_markdown(text, links=True)
        return str(convert_between(_TEXT, self._reads, text))

    def _headline(self, title: str) -> str:
        title = cutting.disarm(title) if self._calls_people else title
        match self._reads:
            case NotifyFormat.HTML:
                return f"<b>{html.escape(title, quote=False)}</b><br/>"
            case NotifyFormat.MARKDOWN:
                return f"**{cutting.escape_markdown(title)}**\n"
            case _:
                return f"{cutting.escape_markdown(title) if self._marks_up else title}\n"

    def _titled(self, title: str, number: int, of: int) -> str:
        count = f" ({number}/{of})" if title and of > 1 else ""
        size = _bytes if self._in_bytes else len
        longest = _BLOCK_TITLE if getattr(self._plugin, "use_blocks", False) else self._plugin.title_maxlen
        return cutting.shorten(title, size, longest - len(count)) + count

    # Splitting into pieces.

    def _cut(self, made: str, head: int) -> list[str]:
        limit = self._limit
        if limit is None:
            return [made]
        room = limit
        while True:
            pieces = self._cut_to(made, room, head)
            # The plugin's result may be slightly longer than the piece.
            if room <= limit // 4 or all(self._size(piece) <= limit for piece in pieces):
                return pieces
            room = room * 4 // 5

    def _cut_to(self, made: str, room: int, head: int) -> list[str]:
        if self._reads == _HTML:
            return cutting.cut_html(made, room - 1, taken=head, **self._most)
        if self._reads == _MARKDOWN and self._size(made) + head > room:
            return _repaired(cutting.cut_text(made, self._size, room - _REPAIR, taken=head, **self._most))
        return cutting.cut_text(made, self._size, room, taken=head, **self._most)

    def _size(self, piece: str) -> int:
        final = str(self._plugin.dialect_convert(piece, self._reads))
        return _bytes(final) if self._in_bytes else len(final)


def _limit(scheme: str, plugin: Any, overflow: str) -> int | None:
    if scheme in _NO_LIMIT or overflow == "upstream":
        return None
    if getattr(plugin, "use_blocks", False):
        return _BLOCK
    return _BYTES.get(scheme, int(plugin.body_maxlen))


def _repaired(pieces: list[str]) -> list[str]:
    """Returns the pieces with open emphasis and code closed, and reopened in the next piece."""
    pending: dict[str, Any] = {}
    made = []
    for index, piece in enumerate(pieces):
        following = pieces[index + 1] if index + 1 < len(pieces) else None
        whole, pending = commonmark_repair_chunk(piece, pending, next_chunk=following)
        made.append(whole)
    return made


def _bytes(text: str) -> int:
    return len(text.encode())
