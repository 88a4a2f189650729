"""Acks: as few frames as possible, every finished tag once, never a tag that the broker does not hold."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.amqp.acks import AckTracker


class Broker:
    """What RabbitMQ does with acks of one channel: it answers 406 to a tag that is not outstanding."""

    def __init__(self) -> None:
        self.outstanding: set[int] = set()

    def ack(self, tag: int, *, multiple: bool) -> None:
        assert tag in self.outstanding, f"406: unknown delivery tag {tag}"
        self.outstanding -= {each for each in self.outstanding if each <= tag} if multiple else {tag}


def test_one_multiple_ack_covers_everything_up_to_the_first_open_tag():
    tracker = AckTracker()
    for tag in range(1, 8):
        tracker.arrived(tag)
    for tag in (3, 1, 2, 6):
        tracker.finish(tag)

    assert list(tracker.take()) == [(3, True), (6, False)]


def test_nothing_is_acked_twice():
    tracker = AckTracker()
    for tag in (1, 2, 3):
        tracker.arrived(tag)
    tracker.finish(2)
    assert list(tracker.take()) == [(2, False)]
    tracker.finish(1)

    assert list(tracker.take()) == [(1, True)]
    assert tracker.finish(1) is False
    assert list(tracker.take()) == []


def test_a_tag_that_was_given_back_is_not_acked():
    tracker = AckTracker()
    tracker.arrived(1)
    tracker.arrived(2)

    assert tracker.requeue(1) is True
    assert tracker.finish(1) is False
    tracker.finish(2)
    assert list(tracker.take()) == [(2, True)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["arrive", "finish", "give_back", "flush"]), st.integers(1, 40)),
        max_size=200,
    )
)
def test_any_order_of_events_leaves_exactly_the_open_tags_outstanding(steps):
    tracker, broker, open_tags, arrived = AckTracker(), Broker(), set(), 0
    for step, number in steps:
        if step == "arrive":
            arrived += 1
            tracker.arrived(arrived)
            broker.outstanding.add(arrived)
            open_tags.add(arrived)
        elif step == "finish":
            assert tracker.finish(number) == (number in open_tags)
            open_tags.discard(number)
        elif step == "give_back":
            given = tracker.requeue(number)
            assert given == (number in open_tags)
            if given:
                open_tags.discard(number)
                broker.outstanding.discard(number)
        else:
            for tag, multiple in tracker.take():
                broker.ack(tag, multiple=multiple)
            assert broker.outstanding == open_tags
    assert tracker.open == len(open_tags)
