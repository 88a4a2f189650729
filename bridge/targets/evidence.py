"""How targets tell what they sent and heard."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from bridge.model.evidence import Evidence
from bridge.model.target import NotifyTarget, QueueTarget, ScriptTarget, WebhookTarget
from bridge.rules.wire.evidence import Folding, Pair, digest, hidden, plain
from bridge.settings.shape import TELLING
from bridge.settings.shown import address_of, settings_digest

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
