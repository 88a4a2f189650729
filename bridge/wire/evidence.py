"""Evidence of attempts: requests and responses without bodies, in a compact form.

Most of it is the same in many attempts: the address, the names of headers, nearly all of their values. That part is a
`Form`, which is stored once; an attempt stores the ids of two forms, a digest of the body, and the values that change.
Which values change is learned: a value is constant until it differs.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any

from bridge.core.delivery import Evidence, Form, KnownEvidence

Pair = tuple[str, str]

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


def unfolded(evidence: Evidence) -> KnownEvidence:
    """Returns the evidence of an attempt that was just made, for display."""
    heard = evidence.heard
    return told(evidence.sent.text, heard.text if heard else None, evidence.digest, evidence.values)


def told(sent: str, heard: str | None, body: str, values: Sequence[str]) -> KnownEvidence:
    """Returns the evidence of two forms' texts and the changed values, for display."""
    about, rest = json.loads(sent), iter(values)
    always = ((name, value) for name, value in about.get("always", ()))
    headers = (*always, *_filled(about["headers"], rest))
    answered = None if heard is None else tuple(_filled(json.loads(heard)["headers"], rest))
    return KnownEvidence(
        about["type"], about["to"], about.get("method"), about["settings"], headers, body, answered
    )


def _filled(headers: Sequence[Any], values: Iterator[str]) -> Iterator[Pair]:
    for name, value in headers:
        yield name, next(values, "") if value is None else value


def plain(text: str) -> str:
    r"""Returns the text cut to the maximum length, with bytes that are invalid in a header as `\xff`."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}..."
    return text.encode("ascii", "backslashreplace").decode()
