"""The formats by name, in the order in which `auto` tries them; `json` stands last and takes what is left."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats import plain, splynx

Detect = Callable[[Any, Message], bool]
Read = Callable[[Any, Message, ZoneInfo], Decoded]
Split = Callable[[Any, Message], Sequence[Message] | None]


class Format(NamedTuple):
    """How one kind of publisher is recognised and read; none of the functions ever raises.

    `split` gives the single messages of one that holds several, each with its own bytes; None: it is a single one.
    """

    detect: Detect
    read: Read
    split: Split | None = None


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "splynx": Format(splynx.detect, splynx.read),
        "json": Format(plain.detect, plain.read),
    }
)
