"""What is said of a queue's type and arguments."""

from typing import Any

import pytest

from bridge.core.survey import QueueKind
from bridge.wire.effects import effects_of


def told(kind: QueueKind) -> list[tuple[str, str]]:
    return [(effect.weight, effect.what) for effect in effects_of(kind)]


@pytest.mark.parametrize(
    ("arguments", "weight", "said"),
    [
        ({"x-message-ttl": 90_000}, "warning", "messages expire after 90 s"),
        ({"x-max-length": 10}, "warning", "at most 10 messages: beyond that the broker drops the oldest"),
        (
            {"x-max-length": 10, "x-overflow": "reject-publish-dlx"},
            "warning",
            "beyond that the broker rejects publishes",
        ),
        ({"x-max-length": 7, "x-max-length-bytes": 9}, "warning", "at most 7 messages or 9 bytes"),
        ({"x-expires": 60_000}, "warning", "after 60 s without a consumer"),
        ({"x-single-active-consumer": True}, "ok", "others are on standby"),
        ({"auto_delete": True}, "problem", "when its last consumer stops"),
        ({"durable": False}, "warning", "does not survive a restart"),
    ],
)
def test_each_argument_that_costs_messages_is_told_with_what_it_does(
    arguments: dict[str, Any], weight: str, said: str
):
    [(level, what)] = told(QueueKind("classic", arguments))
    assert level == weight
    assert said in what


def test_a_plain_queue_gives_nothing_to_tell():
    assert told(QueueKind("classic", {"x-queue-type": "classic", "x-max-priority": 5})) == []


def test_a_stream_is_read_from_its_place_and_its_retention_is_told():
    assert [weight for weight, _ in told(QueueKind("stream"))] == ["ok"]
    [_, (weight, what)] = told(QueueKind("stream", {"x-max-age": "7D", "x-max-length-bytes": 5}))
    assert weight == "warning"
    assert "x-max-age 7D, x-max-length-bytes 5" in what


def test_a_queue_that_somebody_has_for_himself_is_a_problem():
    [(weight, what)] = told(QueueKind("classic", taken="ACCESS_REFUSED - in exclusive use"))
    assert weight == "problem"
    assert "in exclusive use" in what
