"""What the history knows of events that are handed out again."""

from dataclasses import replace

from bridge.core.delivery import DUPLICATE, Record, Status, Unmatched
from bridge.core.event import Event
from bridge.core.guards import Earlier, EventKey
from bridge.history.guards_store import SqlRecollection
from bridge.history.history import SqlHistory
from tests.support.records import NOW, a_delivery, an_event, delivered, waiting


def key_of(event: Event) -> EventKey:
    assert event.publisher_id is not None
    return event.source, event.publisher_id, event.webhook_id


def skipped(event: Event, hook: str, reason: str) -> Record:
    return Record(a_delivery(event, hook=hook), "webhook", Status.SKIPPED, reason, NOW)


async def test_an_event_is_known_with_every_hook_that_has_a_fate_of_it(history: SqlHistory):
    recollection: SqlRecollection = SqlRecollection(history.engine)
    event = an_event(publisher_id="m-1", webhook_id="w-1")
    other_body = an_event(publisher_id="m-1", webhook_id="w-2")
    elsewhere = an_event(publisher_id="m-1", webhook_id="w-1", source="other")
    await history.commit(
        [
            delivered(a_delivery(event, hook="done")),
            waiting(a_delivery(event, hook="parked")),
            skipped(event, "off", "hook_disabled"),
            Unmatched(other_body),
        ]
    )

    found = await recollection.earlier([key_of(event), key_of(other_body), key_of(elsewhere)])

    assert found == {
        key_of(event): Earlier(event.id, frozenset({"done", "parked", "off"})),
        key_of(other_body): Earlier(other_body.id, frozenset()),
    }
    assert await recollection.earlier([]) == {}


async def test_the_newest_counts_and_what_was_dropped_as_a_duplicate_does_not(history: SqlHistory):
    old, new, dropped = (an_event(NOW + n, publisher_id="m-1", webhook_id="w-1") for n in range(3))
    await history.commit([delivered(a_delivery(old, hook="a")), delivered(a_delivery(new, hook="b"))])
    await history.commit([skipped(dropped, "a", DUPLICATE), skipped(dropped, "b", DUPLICATE)])

    found = await SqlRecollection(history.engine).earlier([key_of(old)])

    assert found == {key_of(old): Earlier(new.id, frozenset({"b"}))}


async def test_ids_of_any_length_and_of_any_text_are_found(history: SqlHistory):
    names = ["x" * 300, "\0nul", "\ud800", "čáp 🦆", "-"]
    events = [an_event(publisher_id=name, webhook_id=f"w-{name}") for name in names]
    await history.commit([delivered(a_delivery(event)) for event in events])

    found = await SqlRecollection(history.engine).earlier([key_of(event) for event in events])

    assert {key: one.event_id for key, one in found.items()} == {key_of(event): event.id for event in events}


async def test_many_bodies_under_one_id_are_told_apart(history: SqlHistory):
    event = an_event(publisher_id="always the same", webhook_id="w")
    events = [replace(event, id=an_event(NOW + n).id, webhook_id=f"w-{n}") for n in range(600)]
    await history.commit([delivered(a_delivery(each)) for each in events])

    found = await SqlRecollection(history.engine).earlier([key_of(each) for each in events])

    assert {key[2]: one.event_id for key, one in found.items()} == {
        each.webhook_id: each.id for each in events
    }
