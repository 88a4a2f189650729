"""When a message is taken away from a quorum queue that will drop it, and when it is kept unread."""

import pytest

from bridge.core.survey import QueueKind
from bridge.wire.effects import Returns, returns_of


def quorum(**arguments: object) -> QueueKind:
    return QueueKind("quorum", {"x-queue-type": "quorum", **arguments})


@pytest.mark.parametrize(
    ("limit", "custody_from", "kept_from"),
    [
        (0, 0, None),
        (1, 0, None),
        (2, 1, None),
        (3, 1, None),
        (7, 3, None),
        (8, 4, 6),
        (20, 10, 15),
        (1000, 10, 15),
    ],
)
def test_custody_begins_at_half_of_the_limit_and_well_before_a_message_is_given_up(
    limit: int, custody_from: int, kept_from: int | None
):
    returns = returns_of(quorum(**{"x-delivery-limit": limit}))
    assert returns.known
    assert (returns.custody_from, returns.kept_from) == (custody_from, kept_from)
    assert returns.near_the_end({"x-delivery-count": max(1, custody_from)})
    if custody_from > 1:
        assert not returns.near_the_end({"x-delivery-count": custody_from - 1})


def test_the_last_turn_is_that_whose_return_goes_over_the_limit():
    returns = returns_of(quorum(**{"x-delivery-limit": 3}))
    assert [returns.has_last_turn({"x-delivery-count": count}) for count in (1, 2, 3)] == [False, False, True]
    assert not returns_of(quorum(**{"x-delivery-limit": 0})).has_last_turn({})
    assert not Returns(counted=False).has_last_turn({"x-delivery-count": 50})


def test_where_the_first_return_counts_for_half_everything_goes_into_custody_and_few_are_held():
    returns = returns_of(quorum(**{"x-delivery-limit": 1}))
    assert returns.all_at_once
    assert returns.near_the_end({})
    assert returns.holdable(500) == 20
    assert returns_of(quorum(**{"x-delivery-limit": 2})).holdable(500) == 500


def test_of_argument_and_policy_the_lower_counts_and_without_both_twenty_is_assumed():
    assert returns_of(quorum(**{"x-delivery-limit": 30}), by_policy=6).limit == 6
    assert returns_of(quorum(), by_policy=6).limit == 6
    assert returns_of(quorum()) == Returns(counted=True, limit=20, known=False)
    assert returns_of(quorum(), by_policy=-1) == Returns(counted=True, limit=20, known=False)


@pytest.mark.parametrize("kind", ["classic", "stream"])
def test_other_queues_count_nothing(kind: str):
    returns = returns_of(QueueKind(kind))  # type: ignore[arg-type]
    assert not returns.counted
    assert not returns.spent_by_nacks


def test_a_nack_costs_a_return_where_the_broker_counts_it():
    assert returns_of(quorum()).spent_by_nacks
    assert not returns_of(quorum(), nacks_count=False).spent_by_nacks


def test_a_header_of_what_comes_again_tells_that_nacks_are_counted_apart():
    returns = returns_of(quorum())
    assert returns.seen_in({"x-delivery-count": 1}) == returns
    learned = returns.seen_in({"x-acquired-count": 2})
    assert not learned.spent_by_nacks
    assert learned.limit == returns.limit
