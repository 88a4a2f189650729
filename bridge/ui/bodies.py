"""Bodies for people: a tree of JSON, text, or bytes in hexadecimal; large ones are cut, with how much is left."""

import json
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.bodies.exact import json_text
from bridge.ui.words import visible

MOST_NODES = 2000
"""Values that a tree shows."""
MOST_TEXT = 65_536
"""Characters of a text that are shown."""
MOST_HEX = 16_384
"""Bytes that are shown in hexadecimal."""
_DEEPEST = 40
_LINE = 16


@dataclass(slots=True)
class Node:
    """A value of JSON: with children, or as the text of a scalar."""

    key: str
    path: str
    kind: str
    """object, array, string, number, literal, or cut for what is not shown."""
    text: str = ""
    children: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Body:
    """A body: the parsed value if it is JSON (`has_value`), and its text or its bytes."""

    has_value: bool
    value: Any
    text: str | None
    raw: bytes

    @property
    def views(self) -> Sequence[str]:
        """Returns the views that it has, the default first."""
        return [*(["tree"] if self.has_value else []), *(["raw"] if self.text is not None else []), "hex"]

    def tree(self) -> Node:
        """Returns the value as a tree."""
        return _Tree().node("", "$", self.value, 0)

    def lines(self) -> tuple[str, int]:
        """Returns the beginning of the text, and how many characters are left out."""
        text = self.text or ""
        return text[:MOST_TEXT], max(0, len(text) - MOST_TEXT)

    def hexadecimal(self) -> tuple[str, int]:
        """Returns the beginning of the bytes as lines of 16, and how many bytes are left out."""
        shown = self.raw[:MOST_HEX]
        lines = (_hex_line(place, shown[place : place + _LINE]) for place in range(0, len(shown), _LINE))
        return "\n".join(lines), len(self.raw) - len(shown)

    @staticmethod
    def indented(value: Any) -> str:
        """Returns JSON in lines; one without lines if it cannot be laid out."""
        try:
            return json.dumps(value, indent=2, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            return json_text(value)


def of_event(event: Mapping[str, Any]) -> Body:
    """Returns the data of an event."""
    if event.get("data_base64"):
        raw = b64decode(event["data_base64"])
        return Body(has_value=False, value=None, text=_text(raw), raw=raw)
    text = Body.indented(event.get("data"))
    return Body(has_value=True, value=event.get("data"), text=text, raw=text.encode(errors="surrogatepass"))


def of_text(text: str | None, encoded: str | None) -> Body:
    """Returns a body of the API: its text, or else its bytes in base64."""
    raw = b64decode(encoded or "") if text is None else text.encode(errors="surrogatepass")
    try:
        value, has_value = json.loads(raw), True
    except (ValueError, RecursionError):
        value, has_value = None, False
    return Body(has_value, value, text if text is not None else _text(raw), raw)


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _hex_line(place: int, part: bytes) -> str:
    told = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
    return f"{place:08x}  {part.hex(' '):<47}  {told}"


class _Tree:
    def __init__(self) -> None:
        self._left = MOST_NODES

    def node(self, key: str, path: str, value: Any, depth: int) -> Node:
        self._left -= 1
        if isinstance(value, Mapping):
            pairs = ((name, f"{path}.{name}", each) for name, each in value.items())
            return self._branch(Node(key, path, "object", f"{{{len(value)}}}"), pairs, value, depth)
        if isinstance(value, list):
            pairs = ((str(place), f"{path}[{place}]", each) for place, each in enumerate(value))
            return self._branch(Node(key, path, "array", f"[{len(value)}]"), pairs, value, depth)
        if isinstance(value, str):
            return Node(key, path, "string", visible(json.dumps(value, ensure_ascii=False)))
        kind = "literal" if value is None or isinstance(value, bool) else "number"
        return Node(key, path, kind, json_text(value))

    def _branch(self, made: Node, pairs: Iterable[tuple[str, str, Any]], value: Any, depth: int) -> Node:
        if depth >= _DEEPEST:
            made.children = [Node("", made.path, "cut", json_text(value)[:MOST_TEXT])]
            return made
        for key, path, each in pairs:
            if self._left <= 0:
                made.children.append(Node("", path, "cut", "…"))
                break
            made.children.append(self.node(visible(key), path, each, depth + 1))
        return made
