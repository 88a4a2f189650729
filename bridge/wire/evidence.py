"""What an attempt sent and heard beside the bodies, in a form that costs little to keep.

Most of it is the same from one attempt to the next: the address, the names of headers, nearly all of their values. That
is a `Form`, which is kept once; an attempt keeps the ids of two forms, a digest of the body, and the values that change.
Which do is found out: a value is taken to stay until it does not.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from operator import itemgetter
from typing import Any

from bridge.core.delivery import Evidence, Form, KnownEvidence

Pair = tuple[str, str]

MOST_HEADERS = 64
"""Of one direction; what comes behind them is left out."""
LONGEST = 256
"""Characters of a name or value; what is longer is cut."""
_MOST_SHAPES = 16
"""Different lists of names in a row that are told apart; a receiver may make up a new one for every answer."""
_SCHEME = 12
_SHOWN = 20


Pick = Callable[[tuple[str, ...]], tuple[str, ...]]


class _Shape:
    """A list of names, and which of the values behind them have never changed: `known`.

    Values are picked by functions in C: every attempt comes by here.
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
    """Takes the headers of one direction apart, into a form and what changes."""

    def __init__(
        self,
        about: Mapping[str, Any],
        is_secret: Callable[[str], bool],
        signatures: frozenset[str] = frozenset(),
    ) -> None:
        """`about`: what else the form tells, headers that are always the same (`always`) among it. `is_secret`: whether
        the values of a name, in lower case, are not shown. `signatures`: names, as they are written, whose values are
        shortened.
        """
        self._about = about
        self._is_secret = is_secret
        self._signatures = signatures
        self._shapes: dict[tuple[str, ...], _Shape] = {}

    def fold(self, pairs: Sequence[Pair]) -> tuple[Form, tuple[str, ...]]:
        """The form, and the values that stand in it as None."""
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
        """What changes, now that something does that was taken to stay."""
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
    """A function that gives what stands at these places."""
    match places:
        case []:
            return lambda _: ()
        case [one]:
            return lambda values: (values[one],)
        case _:
            return itemgetter(*places)


def digest(content: bytes) -> str:
    """SHA-256 of a body."""
    return sha256(content).hexdigest()


def hidden(name: str, value: str) -> str:
    """The value of a secret header: nothing of it but the scheme of an `Authorization`."""
    if not name.lower().endswith("authorization"):
        return "***"
    scheme, blank, _ = value.partition(" ")
    return f"{plain(scheme)} ***" if blank and scheme.isalpha() and len(scheme) <= _SCHEME else "***"


def shortened(signature: str) -> str:
    """The beginning of a signature: enough to tell two apart, too little to be of use."""
    return signature if len(signature) <= _SHOWN else f"{signature[:_SHOWN]}..."


def unfolded(evidence: Evidence) -> KnownEvidence:
    """What is told of an attempt that was just made."""
    heard = evidence.heard
    return told(evidence.sent.text, heard.text if heard else None, evidence.digest, evidence.values)


def told(sent: str, heard: str | None, body: str, values: Sequence[str]) -> KnownEvidence:
    """What the texts of two forms say together with the values that changed."""
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
    r"""Of a length that can be kept, and what is no text of a header as `\xff`."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}..."
    return text.encode("ascii", "backslashreplace").decode()
