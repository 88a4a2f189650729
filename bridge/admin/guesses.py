"""Wrong tokens, counted by the address that shows them: guessing is slowed down, everybody else is not."""

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

_FREE = 10
"""The wrong token within a minute from which on answers wait."""
_SPAN = 60.0
_MOST_ADDRESSES = 10_000
_WHOLE_NET = (1 << 128) - (1 << 64)


@dataclass(slots=True)
class _Guesser:
    times: deque[float] = field(default_factory=lambda: deque(maxlen=_FREE))
    told_until: float = -math.inf


class Guesses:
    """The last wrong tokens of each address; of too many addresses those that were heard of last."""

    def __init__(self, guessing: Callable[[str], None]) -> None:
        """`guessing(address)` is called where one begins to show many, and again each minute that it goes on."""
        self._guessing = guessing
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()

    def wrong(self, address: str, now: float) -> bool:
        """Count one; whether its answer is to be slowed down. `now` in seconds of a clock that only goes on."""
        who = neighbourhood(address)
        guesser = self._guessers.setdefault(who, _Guesser())
        self._guessers.move_to_end(who)
        guesser.times.append(now)
        if len(self._guessers) > _MOST_ADDRESSES:
            self._guessers.popitem(last=False)
        if len(guesser.times) < _FREE or now - guesser.times[0] >= _SPAN:
            return False
        if now >= guesser.told_until:
            guesser.told_until = now + _SPAN
            self._guessing(address)
        return True

    def __len__(self) -> int:
        return len(self._guessers)


def neighbourhood(address: str) -> str:
    """The address; of IPv6 the network, as whoever has one address there has all of them."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(IPv6Address(int(found) & _WHOLE_NET))
    return str(found)
