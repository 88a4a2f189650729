"""Which policy is in force on a queue, and what that means; brokers of versions that are not at hand."""

import pytest

from bridge.core.survey import (
    BrokerEndpoint,
    FoundBroker,
    FoundPolicies,
    FoundPolicy,
    FoundQueue,
    FoundSource,
    QueueKind,
    QueueType,
)
from bridge.doctor.broker import of_broker, of_sources, of_timeouts
from bridge.doctor.policies import in_force, of_ours, of_policies
from bridge.settings.tree import Settings

HA = FoundPolicy("ha", ".*", "all", 0, {"ha-mode": "all"})
SHORT = FoundPolicy("short", "^bridge\\.", "queues", 5, {"max-length": 100})
EXCHANGES = FoundPolicy("exchanges", ".*", "exchanges", 9, {"alternate-exchange": "x"})
CAP = FoundPolicy("cap", "lane", "queues", 0, {"max-length": 7, "delivery-limit": 3}, operator=True)
BROKEN = FoundPolicy("broken", "(", "queues", 99, {"max-length": 1})


def test_the_highest_priority_alone_is_in_force():
    assert in_force("bridge.dead", [HA, SHORT, EXCHANGES, BROKEN]) == {"max-length": 100}
    assert in_force("hooks2", [HA, SHORT]) == {"ha-mode": "all"}
    assert in_force("hooks2", [SHORT]) == {}


def test_an_operators_policy_goes_with_it_and_the_lower_number_counts():
    assert in_force("bridge.lane.crm", [SHORT, CAP]) == {"max-length": 7, "delivery-limit": 3}
    assert in_force("bridge.dead", [SHORT, CAP]) == {"max-length": 100}


def limits_of(queue: FoundQueue, version: str, *policies: FoundPolicy) -> list[tuple[str, str]]:
    found = of_policies(FoundPolicies(policies, queues=(queue,)), [], Settings(), version=version, longest=15)
    return [(each.level, each.message) for each in found if each.subject == f"queue {queue.name}"]


def test_a_quorum_source_without_a_dead_letter_exchange_is_told_of_from_the_version_on_that_limits_it():
    quorum = FoundQueue("hooks2", "quorum", {"x-queue-type": "quorum"})
    assert limits_of(quorum, "3.13.7") == []
    [(level, message)] = limits_of(quorum, "4.1.0")
    assert level == "warning"
    assert "delivery limit 20: what came back more often the broker drops" in message
    assert "came back 10 times goes into its lanes" in message
    assert limits_of(FoundQueue("hooks2", "classic", {}), "4.1.0") == []
    dead = FoundPolicy("dead", "^hooks2$", "quorum_queues", 0, {"dead-letter-exchange": "dead"})
    [(level, message)] = limits_of(quorum, "4.1.0", dead)
    assert level == "ok"
    assert "dead-letters" in message
    short = FoundPolicy("short", "^hooks2$", "quorum_queues", 0, {"delivery-limit": 10})
    [(level, message)] = limits_of(quorum, "3.13.7", short)
    assert level == "warning"
    assert "delivery limit 10" in message
    tiny = FoundPolicy("tiny", "^hooks2$", "quorum_queues", 0, {"delivery-limit": 1})
    [(level, message)] = limits_of(quorum, "3.13.7", tiny)
    assert level == "problem"
    assert "everything goes through the lanes" in message
    unlimited = FoundPolicy("unlimited", "^hooks2$", "quorum_queues", 0, {"delivery-limit": -1})
    assert limits_of(quorum, "4.1.0", unlimited) == []


@pytest.mark.parametrize(("seconds", "told"), [(60, True), (1800, False), (7200, False)])
def test_a_policy_that_takes_messages_away_before_the_longest_attempt_ends_is_a_problem(
    seconds: int, told: bool
):
    policy = FoundPolicy("patience", ".*", "queues", 0, {"consumer-timeout": seconds * 1000})
    settings = Settings.model_validate({"broker": {"consumer_timeout": "30m"}})
    found = of_policies(FoundPolicies((policy,)), ["bridge.lane.crm"], settings, version="4.1.0", longest=45)
    messages = [each.message for each in found if each.about == "timeouts" and each.level == "problem"]
    assert len(messages) == told
    if told:
        assert "waits 60 s" in messages[0]
        assert "may take 45 s" in messages[0]


def test_the_longest_attempt_is_named_also_where_its_hook_is_not_in_the_file():
    settings = Settings.model_validate({"broker": {"consumer_timeout": "2m"}})
    [found] = of_timeouts(settings, {"hk_slow": 90.0, "hk_quick": 5.0})
    assert found.level == "problem"
    assert "(hook hk_slow) may take 90 s" in found.message


@pytest.mark.parametrize(
    ("version", "queue_type", "level", "said"),
    [
        ("3.8.34", "quorum", "problem", "retries do not work"),
        ("3.9.29", "classic", "warning", "older than the versions"),
        ("3.10.8", "quorum", "warning", "no longer maintained"),
        ("3.12.14", "quorum", "warning", "no longer maintained"),
        ("3.13.7", "quorum", "ok", "known to work"),
        ("4.2.1", "quorum", "ok", "16 MiB"),
        ("4.3.6", "quorum", "ok", "16 MiB"),
    ],
)
def test_versions_are_told_from_unsupported_to_known(version: str, queue_type: str, level: str, said: str):
    settings = Settings.model_validate({"broker": {"queue_type": queue_type}})
    endpoint = BrokerEndpoint("amqp://broker", product="RabbitMQ", version=version, cluster="c")
    found = [
        each
        for each in of_broker(FoundBroker((endpoint,)), None, settings)
        if each.subject.startswith("version")
    ]
    assert [each.level for each in found] == [level]
    assert said in found[0].message


@pytest.mark.parametrize(("kind", "level"), [("classic", "warning"), ("quorum", "ok")])
def test_only_of_a_quorum_queue_a_bridge_may_have_several_consumers(kind: QueueType, level: str):
    source = FoundSource("hooks2", there=True, consumers=2, kept=True, kind=QueueKind(kind))
    told = of_sources(FoundBroker((), sources=(source,)), (), Settings(), bridges=1)
    [consumers] = [each for each in told if "consumers" in each.message]
    assert consumers.level == level


def test_who_has_a_queue_for_himself_is_not_told_to_be_a_bridge():
    kind = QueueKind("classic", taken="ACCESS_REFUSED - in exclusive use")
    source = FoundSource("hooks2", there=True, consumers=1, kept=True, kind=kind)
    told = list(of_sources(FoundBroker((), sources=(source,)), (), Settings(), bridges=1))
    assert any("another consumer has exclusive access" in each.message for each in told)
    assert not any("all of them bridges" in each.message for each in told)


@pytest.mark.parametrize(
    ("definition", "harm"),
    [
        ({"max-length": 7, "overflow": "drop-head"}, "copies in lanes go to quarantine"),
        ({"max-length-bytes": 7_000}, "a full lane keeps events in their sources"),
        ({"message-ttl": 1_000}, "leave the ladder early"),
        ({"expires": 60_000}, "the broker deletes it with its messages"),
    ],
)
def test_what_an_operators_policy_does_to_our_queues_is_said(definition: dict[str, object], harm: str):
    operators = FoundPolicy("all", ".*", "all", 0, definition, operator=True)
    [found] = of_ours("bridge.delay.3600", [HA, operators])
    assert found.level == "problem"
    assert harm in found.message
    assert list(of_ours("bridge.delay.3600", [HA])) == []


def test_a_queue_that_may_not_even_be_looked_at_lacks_the_permission_whatever_the_broker_says():
    source = FoundSource(
        "closed", there=None, readable=False, said="ACCESS_REFUSED - in words of any release"
    )
    [found] = of_sources(FoundBroker((), sources=(source,)), (), Settings(), bridges=1)
    assert (found.level, found.message) == ("problem", "no permission to read it")
    assert found.advice == "rabbitmqctl set_permissions: read ^closed$"
