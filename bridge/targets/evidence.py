"""Evidence of what targets sent and received, and the rendering of large bodies."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, TypeVar

from bridge.core.budget import Budget, Hold
from bridge.core.delivery import Evidence, Form
from bridge.core.event import Event
from bridge.core.target import NotifyTarget, QueueTarget, ScriptTarget, WebhookTarget
from bridge.settings.shape import TELLING
from bridge.settings.shown import address_of, settings_digest
from bridge.wire.evidence import Pair

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


# The compact form: what is the same in many attempts is stored once (bridge.wire.evidence reads it). Which values change is
# learned: a value is constant until it differs.


MOST_HEADERS = 64
"""Maximum headers of one direction; further ones are dropped."""
LONGEST = 256
"""Maximum characters of a name or value; longer ones are cut."""
_MOST_SHAPES = 16
"""Maximum consecutive lists of names that are distinguished; a receiver may send different names in every response."""
_SCHEME = 12
_SHOWN = 20


Pick = Callable[[tuple[str, ...]], tuple[str, ...]]


class _Shape:
    """A list of header names, and the values that have never changed: `known`.

    Values are picked by C functions, because this code runs for every attempt.
    """

    __slots__ = ("changing", "form", "known", "signed", "unchanging")

    def __init__(
        self, form: Form, unchanging: Sequence[int], changing: Sequence[int], known: tuple[str, ...]
    ) -> None:
        self.form = form
        self.unchanging = _picking(unchanging)
        self.changing = _picking(changing)
        self.known = known
        self.signed: Sequence[int] = ()


class Folding:
    """A compressor of the headers of one direction into a form and the changing values."""

    def __init__(
        self,
        about: Mapping[str, Any],
        is_secret: Callable[[str], bool],
        signatures: frozenset[str] = frozenset(),
    ) -> None:
        """Prepare the compressor. `about` is further content of the form, including headers that are always the
        same (`always`). `is_secret`: whether the values of a lower-case name are hidden. `signatures`: names whose
        values are shortened.
        """
        self._about = about
        self._is_secret = is_secret
        self._signatures = signatures
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def fold(self, pairs: Sequence[Pair]) -> tuple[Form, tuple[str, ...]]:
        """Returns the form, and the values that are None in it."""
        names, values = zip(*pairs, strict=True) if pairs else ((), ())
        shape = self._shapes.get(names)
        if shape is None:
            shape = self._learn(names, values, frozenset())
        elif shape.unchanging(values) != shape.known:
            shape = self._learn(names, values, self._changed(names, shape, values))
        changing = shape.changing(values)
        if shape.signed:
            shown = list(changing)
            for at in shape.signed:
                shown[at] = shortened(shown[at])
            changing = tuple(shown)
        whole = "".join(changing)
        if len(whole) > LONGEST or not whole.isascii():
            changing = tuple(map(plain, changing))
        return shape.form, changing

    def _changed(self, names: tuple[str, ...], shape: _Shape, values: tuple[str, ...]) -> frozenset[int]:
        """Returns the indexes of changing values, after a constant value changed."""
        places = range(min(len(names), MOST_HEADERS))
        before = (
            dict(zip(shape.unchanging(tuple(map(str, places))), shape.known, strict=True)) if places else {}
        )
        return frozenset(
            at for at in places if before.get(str(at)) != values[at] and not self._hides(names[at])
        )

    def _hides(self, name: str) -> bool:
        return name not in self._signatures and self._is_secret(name.lower())

    def _learn(self, names: tuple[str, ...], values: tuple[str, ...], changed: frozenset[int]) -> _Shape:
        if len(self._shapes) >= _MOST_SHAPES and names not in self._shapes:
            del self._shapes[next(iter(self._shapes))]
        places = range(min(len(names), MOST_HEADERS))
        hides = {at for at in places if self._hides(names[at])}
        changing = [at for at in places if at in changed or names[at] in self._signatures]
        headers = [
            (
                plain(names[at]),
                None
                if at in changing
                else hidden(names[at], values[at])
                if at in hides
                else plain(values[at]),
            )
            for at in places
        ]
        text = json.dumps({**self._about, "headers": headers}, separators=(",", ":"))
        staying = [at for at in places if at not in hides and at not in changing]
        form = Form(sha256(text.encode()).hexdigest()[:16], text)
        shape = _Shape(form, staying, changing, tuple(values[at] for at in staying))
        shape.signed = [number for number, at in enumerate(changing) if names[at] in self._signatures]
        self._shapes[names] = shape
        return shape


def _picking(places: Sequence[int]) -> Pick:
    match places:
        case []:
            return lambda _: ()
        case [one]:
            return lambda values: (values[one],)
        case _:
            return itemgetter(*places)


def digest(content: bytes) -> str:
    """Returns the SHA-256 of a body."""
    return sha256(content).hexdigest()


def hidden(name: str, value: str) -> str:
    """Returns the redacted value of a secret header: only the scheme of an `Authorization`."""
    if not name.lower().endswith("authorization"):
        return "***"
    scheme, blank, _ = value.partition(" ")
    return f"{plain(scheme)} ***" if blank and scheme.isalpha() and len(scheme) <= _SCHEME else "***"


def shortened(signature: str) -> str:
    """Returns the beginning of a signature: enough to compare two, too little to use."""
    return signature if len(signature) <= _SHOWN else f"{signature[:_SHOWN]}..."


def plain(text: str) -> str:
    r"""Returns the text cut to the maximum length, with bytes that are invalid in a header as `\xff`."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}..."
    return text.encode("ascii", "backslashreplace").decode()


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
