"""What would come of a message: how it is decoded, and which hooks ask for each of its events."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from bridge.model.event import Batch, Event, Message, Undecodable
from bridge.model.source import Source
from bridge.rules.duplicates.keys import Keys
from bridge.rules.formats.decoder import Decoder
from bridge.rules.routing.expression import Unanswered
from bridge.rules.routing.table import Explanation, RoutingTable


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event stood among those of its message, from 1."""

    position: int
    events: int


@dataclass(frozen=True, slots=True)
class Keyed:
    """By what an event is told from those that its publisher sent before; None: it has no key, and why not if that is a
    fault.
    """

    key: str | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """An event and what comes of each hook, or why there is none; `place` only where a message held several, `keyed`
    where its source has `dedupe`.
    """

    found: Event | Undecodable
    hooks: tuple[Explanation, ...] = ()
    place: Place | None = None
    keyed: Keyed | None = None


def inspect(
    message: Message,
    decoder: Decoder,
    table: RoutingTable | None,
    *,
    new_id: Callable[[], str],
    received_at: float,
    keys: Keys | None = None,
) -> list[Finding]:
    """One finding for each event of the message, in its order; nothing is delivered. `table` None: no hooks, `keys` None:
    no `dedupe`.
    """
    decoded = decoder.decode(message, new_id=new_id, received_at=received_at)
    match decoded:
        case Event():
            [keyed] = _keyed(keys, decoded)
            return [Finding(decoded, _explained(table, decoded), keyed=keyed)]
        case Undecodable():
            return [Finding(decoded)]
        case Batch():
            return list(_each(decoded, table, keys))
        case _:
            assert_never(decoded)


def source_of(sources: Sequence[Source], message: Message) -> Source | None:
    """The source that the message comes from: the only one, or the one whose queue it names; None: not told."""
    if len(sources) == 1:
        return sources[0]
    for queue in (message.routing_key, message.headers.get("x-first-death-queue")):
        for source in sources:
            if source.queue == queue:
                return source
    return None


def _each(batch: Batch, table: RoutingTable | None, keys: Keys | None) -> Iterator[Finding]:
    total = len(batch.events) + len(batch.refused)
    refused = {each.position: each.why for each in batch.refused}
    events = iter(zip(batch.events, _keyed(keys, batch), strict=True))
    for position in range(total):
        place = Place(position + 1, total)
        if position in refused:
            yield Finding(refused[position], place=place)
        else:
            event, keyed = next(events)
            yield Finding(event, _explained(table, event), place, keyed)


def _keyed(keys: Keys | None, decoded: Event | Batch) -> list[Keyed | None]:
    if keys is None:
        return [None] * (len(decoded.events) if isinstance(decoded, Batch) else 1)
    return [
        Keyed(None, key.detail) if isinstance(key, Unanswered) else Keyed(key)
        for _, key in keys.of_all(decoded)
    ]


def _explained(table: RoutingTable | None, event: Event) -> tuple[Explanation, ...]:
    return () if table is None else tuple(table.explain(event))
