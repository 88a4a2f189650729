"""Evidence of what targets sent and received, and the rendering of large bodies."""

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
"""Header names that resemble secrets but are public, and those that the bridge sets itself."""


class EvidenceRecorder:
    """The recorder of one target's evidence."""

    def __init__(
        self,
        target: WebhookTarget | ScriptTarget | QueueTarget | NotifyTarget,
        method: str | None = None,
        always: Iterable[Pair] = (),
        signatures: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare the recorder. `always` are headers of every request, `signatures` headers that are shortened."""
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
        """Returns the evidence that this body was sent with these headers, without a response."""
        form, values = self._sent.fold(pairs)
        return Evidence(form, None, digest(content), values)

    def heard(self, sent: Evidence, headers: Mapping[str, str]) -> Evidence:
        """Returns the evidence with the headers of the response."""
        form, values = self._heard.fold(tuple(headers.items()))
        return Evidence(sent.sent, form, sent.digest, sent.values + values)


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Returns whether the values of this header or variable are hidden, by its lower-case name."""
    return bool(TELLING.search(name)) and not _PUBLIC.fullmatch(name)


def lines_of(head: bytes) -> Iterable[Pair]:
    """Yield names and values of the header lines after a request line."""
    for line in head.decode(errors="backslashreplace").split("\r\n")[1:]:
        if line:
            name, _, value = line.partition(": ")
            yield name, value


# Bodies of large events are rendered in a thread, so that the event loop is not blocked, with bounded memory.


T = TypeVar("T")

LARGE = 262_144
"""The size in bytes from which a body is rendered in a thread."""
_SHARE = 0.25
"""The share of the memory budget for bodies rendered from in-flight events."""
_ONE = ThreadPoolExecutor(1, thread_name_prefix="rendering")
"""One thread: two would be no faster because of the interpreter lock, and would delay the event loop twice."""


class Rendering:
    """The renderer of bodies of large events."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._holder = budget.holder("rendered")

    async def make(self, event: Event, build: Callable[[Event], T]) -> tuple[T, Hold | None]:
        """Returns the result of `build` for the event, and its memory reservation, which lasts until `let_go`."""
        if event.weight <= LARGE:
            return build(event), None
        await self._holder.room(event.weight, self._budget.share(_SHARE))
        hold = Hold(self._holder, event.weight)
        return await asyncio.get_running_loop().run_in_executor(_ONE, build, event), hold
