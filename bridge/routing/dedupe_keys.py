"""Deduplication keys: the publisher's id, or the result of a CEL expression over the event."""

import math
from collections.abc import Iterator
from hashlib import sha256

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.core.event import PUBLISHER_ID, Event, Received, Source
from bridge.expressions.engine import TEXTS, EvaluationError, compile_giving, unanswered, view_for
from bridge.formats.text import fitting_id


def compile_key(text: str) -> cel.Expression | None:
    """Returns the compiled expression, None for the publisher's id. Raises ValueError, with position and reason, if
    the expression can return neither text nor a number.
    """
    if text == PUBLISHER_ID:
        return None
    return compile_giving(text, (*TEXTS, cel.Type.DOUBLE), "text or a number")


def keyed_by(source: Source) -> "Keys | None":
    """Returns the key function of a source, None without deduplication. Raises ValueError as `compile_key` does."""
    return None if source.dedupe is None else Keys(source.name, source.dedupe.by)


def places(received: Received) -> Iterator[tuple[Event, int | None]]:
    """Yield each event with its index in the batch; None if the message is not a batch."""
    if not received.is_batch:
        yield from ((event, None) for event in received.events)
        return
    refused = {each.position for each in received.refused}
    left = (place for place in range(len(received.events) + len(refused)) if place not in refused)
    yield from zip(received.events, left, strict=True)


class Keys:
    """The compiled key function of one source."""

    def __init__(self, source: str, by: str) -> None:
        """Compile the key. Raises ValueError as `compile_key` does."""
        self._source = source
        self._expression = compile_key(by)
        self._view = view_for(by)

    def of_all(self, received: Received) -> Iterator[tuple[Event, str | EvaluationError | None]]:
        """Yields each event with its key; those of a batch that have only the message's id are told apart by index."""
        for event, place in places(received):
            yield event, self.of(event, place)

    def of(self, event: Event, place: int | None = None) -> str | EvaluationError | None:
        """Returns the key; None if the event has no key and is therefore never a duplicate. Never raises."""
        if self._expression is not None:
            return self._asked(self._expression, event)
        known = event.publisher_id
        if not known:
            return None
        if place is not None and event.message.message_id and known == fitting_id(event.message.message_id):
            return f"{known}#{place}"
        return known

    def digest(self, key: str) -> str:
        """Returns the digest under which a key is stored: unique for source and key."""
        text = f"{len(self._source)}:{self._source}{key}"
        return sha256(text.encode(errors="surrogatepass")).hexdigest()

    def _asked(self, expression: cel.Expression, event: Event) -> str | EvaluationError | None:
        try:
            value = expression.eval(self._view.of(event))
            answer = value.value()
        except (RuntimeError, ValueError) as error:  # such as an exceeded iteration budget (10,000)
            return EvaluationError(missing=False, detail=str(error)[:500])
        if value.type() == cel.Type.ERROR:
            why = unanswered(answer)
            return None if why.missing else why
        return _key_of(answer)


def _key_of(answer: object) -> str | EvaluationError | None:
    """Returns the key of a value: text and a number of the same spelling differ, equal numbers do not."""
    match answer:
        case None | "":
            return None
        case str():
            return f"text {answer}"
        case int() if not isinstance(answer, bool):
            return f"number {answer}"
        case float() if math.isfinite(answer):
            return f"number {int(answer) if answer.is_integer() else answer}"
    return EvaluationError(
        missing=False, detail=f"the key is a {type(answer).__name__}, not text or a number"
    )
