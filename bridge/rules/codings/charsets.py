"""Character sets by the names that publishers write, and text in them as UTF-8."""

import codecs
import json
from encodings import normalize_encoding
from encodings.aliases import aliases

_WITHOUT_ALIAS = {"cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t", "koi8_u", "mac_arabic"}
_KNOWN = frozenset({*aliases, *aliases.values(), *_WITHOUT_ALIAS})
"""Python remembers every name that it is asked for and does not know, so only these are ever asked."""
_NO_CHARSETS = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)
_OTHERS = {"windows_874": "cp874", "utf8mb4": "utf_8", "utf_8_sig": "utf_8", "x_sjis": "shift_jis"}
UTF_8 = "utf-8"


def charset_of(name: str) -> str | None:
    """The character set as Python knows it, `utf-8` for ASCII too; None for what is the name of none."""
    normal = normalize_encoding(name).lower()
    normal = _OTHERS.get(normal, normal)
    if normal not in _KNOWN or aliases.get(normal, normal) in _NO_CHARSETS:
        return None
    try:
        found = codecs.lookup(normal)
    except LookupError:  # pragma: no cover - all that are known are there on Linux
        return None
    if not found._is_text_encoding:  # noqa: SLF001 - the only mark of rot13, bz2 and the like
        return None
    return UTF_8 if found.name in ("ascii", "utf-8") else found.name


def in_utf_8(text: bytes, charset: str) -> bytes | None:
    """The text in UTF-8; None where it is no text in that character set.

    UTF-16 and UTF-32 without a byte order mark are read in the order in which JSON can begin.
    """
    try:
        if charset in ("utf-16", "utf-32"):
            told = json.detect_encoding(text)
            charset = told if told.startswith(charset) else charset
        return text.decode(charset).encode()
    except ValueError:
        return None
