"""What values from events become before they stand in a message, so that nothing in them acts as markup."""

import html
import re

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
"""What acts inside an address that a service recognises by itself; a backslash would become a part of it."""
_NO_MARK_OF_SLACK = re.compile(r"\\([!-/:-@\[-`{-~])")
_SPOILER = re.compile(r"\\. | (`+)(?!`).*?(?<!`)\1(?!`) | \|(?=\|) | (?<=\|)\|", re.VERBOSE | re.DOTALL)
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all)\b|\*\*)|(?<=<)@", re.IGNORECASE)
_NO_BREAK = "\u200b"


def clean(text: str) -> str:
    """`text` without what no service takes: lone surrogates (they become U+FFFD) and control characters."""
    return _CONTROL.sub("", _LONE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n")))


def one_line(text: str) -> str:
    """`text` on one line: a title may become a header of a mail, where a line break would begin another."""
    return _BLANKS.sub(" ", text).strip()


def escape_html(text: str) -> str:
    """`text` to stand in HTML, in an attribute too; its lines stay lines."""
    return html.escape(text).replace("\n", "<br/>")


def escape_markdown(text: str, ampersand: str = r"\&", *, links: bool = False) -> str:
    """`text` to stand in Markdown (CommonMark, and what Discord makes of it): a backslash where one is needed.

    What cannot act stays as it is, as services without Markdown show every backslash. `ampersand` is for one that
    begins an entity: a backslash says little to Python-Markdown, which needs `&amp;`. `links`: the service makes
    links of addresses, and so `*`, `_` and `~` in them are left alone.
    """
    text = _INDENTED.sub(lambda indent: "\u00a0" * len(indent[0].expandtabs(4)), text)  # else it is code
    parts = _LINK.split(text) if links else [text]
    parts[::2] = [
        _ACTS.sub(lambda found: ampersand if found[0] == "&" else f"\\{found[0]}", part)
        for part in parts[::2]
    ]
    parts[1::2] = [_IN_LINK.sub(r"\\\g<0>", part) for part in parts[1::2]]
    return _BEGINS.sub(r"\1\\\2", "".join(parts))


def escape_slack(text: str) -> str:
    """`text` to stand in Markdown that Apprise rewrites for Slack.

    Slack has no escape, it shows every backslash that is left: so there is one only where otherwise markup would
    arise, before `*`, `_`, `~` and backticks, and those that Apprise takes away again.
    """
    escaped = escape_markdown(text, "&")
    return _NO_MARK_OF_SLACK.sub(lambda pair: pair[0] if pair[1] in "*_~`<>[]#\\" else pair[1], escaped)


def escape_spoilers(markdown: str) -> str:
    """Markdown in which `||`, which means something to Discord alone, hides nothing; code stays as it is."""
    return _SPOILER.sub(lambda found: f"\\{found[0]}" if found[0] == "|" else found[0], markdown)


def disarm(text: str) -> str:
    """`text` that calls nobody: @everyone, @here, @channel, @all and <@id> get a blank of no width."""
    return _CALLS.sub("@" + _NO_BREAK, text)
