"""What a queue is that messages come from: its type and the arguments that change what it does with them."""

import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from bridge.model.value import value

QueueType = Literal["classic", "quorum", "stream", "unknown"]


@value(frozen=True, slots=True)
class QueueKind:
    """A queue's type and arguments; `whole`: these are all of them, as it was declared (policies are not to be seen).

    `taken`: another consumer has it for itself, in the broker's words.
    """

    type: QueueType = "unknown"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = False
    taken: str = ""

    @property
    def is_stream(self) -> bool:
        """Nothing is taken out of it: whoever reads it remembers how far."""
        return self.type == "stream"

    @property
    def has_standbys(self) -> bool:
        """Of its consumers one gets messages, the others wait until that one is gone."""
        return self.arguments.get("x-single-active-consumer") is True

    def number(self, argument: str) -> int | None:
        """The argument where it is a number."""
        found = self.arguments.get(argument)
        return found if isinstance(found, int) and not isinstance(found, bool) else None


def release_of(version: str) -> tuple[int, ...]:
    """Major and minor number of a broker's version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
