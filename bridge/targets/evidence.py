"""How targets tell what they sent and heard."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

from bridge.core.budget import Budget, Hold
from bridge.core.delivery import Evidence
from bridge.core.event import Event
from bridge.core.target import NotifyTarget, QueueTarget, ScriptTarget, WebhookTarget
from bridge.settings.shape import TELLING
from bridge.settings.shown import address_of, settings_digest
from bridge.wire.evidence import Folding, Pair, digest, hidden, plain

_PUBLIC = re.compile(
    r"(idempotency|routing)-key|bridge_.*|www-authenticate|x-bridge-.*|.*-expose-.*|message_id"
)
"""Names that sound like secrets and are none, and those that the bridge gives itself."""


class Told:
    """What one target sends and hears, attempt after attempt, as it is kept."""

    def __init__(
        self,
        target: WebhookTarget | ScriptTarget | QueueTarget | NotifyTarget,
        method: str | None = None,
        always: Iterable[Pair] = (),
        signatures: frozenset[str] = frozenset(),
    ) -> None:
        """`always`: headers of every request. `signatures`: headers that are shortened."""
        about: dict[str, Any] = {
            "type": target.type,
            "to": address_of(target),
            "settings": settings_digest(target),
        }
        about |= {} if method is None else {"method": method}
        shown = [
            (name, hidden(name, value) if is_secret(name.lower()) else plain(value)) for name, value in always
        ]
        about |= {"always": shown} if shown else {}
        self._sent = Folding(about, is_secret, signatures)
        self._heard = Folding({}, is_secret)

    def sent(self, pairs: Sequence[Pair], content: bytes) -> Evidence:
        """That this body went out with these headers; nothing is heard yet."""
        form, values = self._sent.fold(pairs)
        return Evidence(form, None, digest(content), values)

    def heard(self, sent: Evidence, headers: Mapping[str, str]) -> Evidence:
        """The same with the headers of the answer."""
        form, values = self._heard.fold(tuple(headers.items()))
        return Evidence(sent.sent, form, sent.digest, sent.values + values)


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether the values of this header or variable are not shown, by its name in lower case."""
    return bool(TELLING.search(name)) and not _PUBLIC.fullmatch(name)


def lines_of(head: bytes) -> Iterable[Pair]:
    """Names and values of header lines behind a request line."""
    for line in head.decode(errors="backslashreplace").split("\r\n")[1:]:
        if line:
            name, _, value = line.partition(": ")
            yield name, value


# Making bodies of large events: in a thread, so that nobody waits for it, and not too many at once.


T = TypeVar("T")

LARGE = 262_144
"""Bytes from which on others should not wait for what is made of them."""
_SHARE = 0.25
"""Of the memory, for what is made of all events that are under way."""
_ONE = ThreadPoolExecutor(1, thread_name_prefix="rendering")
"""Two at once would be no faster, for the interpreter has one lock; and the event loop would wait for both of them."""


class Rendering:
    """Makes what is sent of large events."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._holder = budget.holder("rendered")

    async def make(self, event: Event, build: Callable[[Event], T]) -> tuple[T, Hold | None]:
        """What `build` makes of the event, and its memory, which counts until that is let go of."""
        if event.weight <= LARGE:
            return build(event), None
        await self._holder.room(event.weight, self._budget.share(_SHARE))
        hold = Hold(self._holder, event.weight)
        return await asyncio.get_running_loop().run_in_executor(_ONE, build, event), hold
