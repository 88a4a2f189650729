"""Which hooks an event goes to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Event, Message
from bridge.core.hook import Hook, HookFault
from bridge.routing.table import Decision, RoutingTable


def hook(name: str, **fields: Any) -> Hook:
    return Hook.model_validate({"name": name, "target": {"type": "queue", "queue": "out"}} | fields)


def event(event_type: str = "customers.create", data: Any = None, source: str = "crm") -> Event:
    return Event(
        id="e",
        source=source,
        type=event_type,
        format="json",
        received_at=0.0,
        message=Message(body=b""),
        data=data,
    )


def names(table: RoutingTable, about: Event) -> list[str]:
    return [each.name for each in table.match(about).hooks]


def test_an_empty_table_matches_nothing():
    assert RoutingTable(()).match(event()).hooks == ()


def test_hooks_match_by_source_and_pattern_in_the_order_of_the_table():
    table = RoutingTable(
        [
            hook("z-all"),
            hook("customers", events=["customers.*", "#.create"]),
            hook("invoices", events=["invoices.#"]),
            hook("here", sources=["crm", "other"]),
            hook("elsewhere", sources=["other"]),
            hook("nowhere", sources=[]),
            hook("a-last", sources=["crm"], events=["customers.create"]),
        ]
    )
    assert names(table, event()) == ["z-all", "customers", "here", "a-last"]
    assert names(table, event(source="other")) == ["z-all", "customers", "here", "elsewhere"]
    assert names(table, event("invoices.paid", source="new")) == ["z-all", "invoices"]


def test_the_bridges_own_events_go_only_to_hooks_that_name_their_source():
    table = RoutingTable(
        [hook("all"), hook("own", sources=["bridge"]), hook("both", sources=["bridge", "crm"])]
    )
    told = event("hook.failing", source="bridge")
    assert names(table, told) == ["own", "both"]
    assert names(table, event()) == ["all", "both"]
    first = table.explain(told)[0]
    assert first.decision is Decision.OTHER_SOURCE
    assert first.detail == "listens to every source but `bridge`, which `sources` has to name"


def test_disabled_and_paused_hooks_match_too():
    table = RoutingTable([hook("off", enabled=False), hook("waiting", paused=True)])
    assert names(table, event()) == ["off", "waiting"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["*", "customers.*", "other.#"]), st.booleans(), st.booleans()), max_size=6
    ),
    st.sampled_from([None, 1, 2]),
    st.sampled_from(["customers.create", "invoices.paid"]),
)
def test_a_hook_for_the_rest_gets_exactly_what_it_asks_for_and_no_other_does(shapes, number, event_type):
    hooks = [
        hook(
            f"h{n}", events=[pattern], unmatched=rest, **({"filter": "event.data.n == 1"} if filtered else {})
        )
        for n, (pattern, filtered, rest) in enumerate(shapes)
    ]
    about = event(event_type, {} if number is None else {"n": number})
    alone = {each.name for each in hooks if names(RoutingTable([each]), about)}
    first = {each.name for each in hooks if each.name in alone and not each.unmatched}
    rest = {each.name for each in hooks if each.name in alone and each.unmatched}
    table = RoutingTable(hooks)
    assert set(names(table, about)) == (first or rest)
    explained = {each.hook.name: each.decision for each in table.explain(about)}
    assert {name for name, decision in explained.items() if decision is Decision.MATCH} == (first or rest)
    assert {name for name, decision in explained.items() if decision is Decision.TAKEN} == (
        rest if first else set()
    )


def test_what_a_disabled_hook_skips_is_not_for_the_rest():
    table = RoutingTable([hook("off", enabled=False), hook("rest", unmatched=True)])
    assert names(table, event()) == ["off"]
    assert (
        table.explain(event())[1].detail == "receives only events that match no other hook, and off matches"
    )


def test_what_only_a_hook_gets_that_cannot_be_read_is_for_the_rest_all_the_same():
    unread = HookFault("the filter cannot be read", frozenset({"filter"}))
    broken = hook("broken", events=["customers.*"], filter="??").with_fault(unread).widened()
    rest = hook("rest", unmatched=True)
    assert names(RoutingTable([broken, rest]), event()) == ["broken", "rest"]
    assert names(RoutingTable([broken, hook("sound"), rest]), event()) == ["broken", "sound"]
    filtered = hook("sound", filter="event.data.n == 1")
    table = RoutingTable([broken, filtered, rest])
    assert names(table, event(data={"n": 1})) == ["broken", "sound"]
    assert names(table, event(data={"n": 2})) == ["broken", "rest"]
    assert [each.decision for each in table.explain(event(data={"n": 2}))] == ["match", "filtered", "match"]
    known = hook("broken").with_fault(HookFault("no such broker", frozenset({"target"})))
    assert names(RoutingTable([known, rest]), event()) == ["broken"]


def test_a_filter_decides_and_what_it_cannot_answer_is_reported():
    table = RoutingTable(
        [
            hook("good", filter='event.data.result == "success"'),
            hook("bad", filter='event.data.result == "failure"'),
            hook("missing", filter="event.data.nothing == 1"),
            hook("broken", filter="event.data.result > 1"),
            hook("plain"),
        ]
    )
    match = table.match(event(data={"result": "success"}))
    assert [each.name for each in match.hooks] == ["good", "plain"]
    assert [(each.name, said.missing) for each, said in match.unanswered] == [
        ("missing", True),
        ("broken", False),
    ]


def test_hooks_with_the_same_filter_all_get_its_answer():
    source = "event.data.n == 1"
    table = RoutingTable([hook("a", filter=source), hook("b", filter=source), hook("c", filter=source)])
    assert names(table, event(data={"n": 1})) == ["a", "b", "c"]
    assert names(table, event(data={"n": 2})) == []
    assert len(table.match(event(data={})).unanswered) == 3


def test_filters_that_look_at_different_parts_share_an_event():
    table = RoutingTable(
        [
            hook("key", filter="event.data.a == 1"),
            hook("other-key", filter="event.data.b == 2"),
            hook("whole", filter="event.data.size() == 3"),
            hook("header", filter="event.headers.size() == 0 && event.format == 'json'"),
        ]
    )
    about = event(data={"a": 1, "b": 2, "c": 3})
    assert names(table, about) == ["key", "other-key", "whole", "header"]
    assert names(RoutingTable(table.hooks[:2]), about) == ["key", "other-key"]


def test_a_hook_is_found_by_its_id():
    table = RoutingTable([hook("a"), hook("b")])
    assert table.get("b") is table.hooks[1]
    assert table.get("c") is None


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ([hook("crm", events=["a.b*"])], "hook crm: in event pattern 'a.b\\*'"),
        ([hook("crm", filter="event.typo == 1")], "hook crm: line 1, column 6: no field event.typo"),
        ([hook("crm"), hook("crm")], "same id"),
    ],
)
def test_what_cannot_be_routed_by_is_refused_and_names_the_hook(hooks, said):
    with pytest.raises(ValueError, match=said):
        RoutingTable(hooks)


@pytest.mark.parametrize(
    ("fields", "decision", "said"),
    [
        ({}, Decision.MATCH, "matches *"),
        ({"enabled": False}, Decision.DISABLED, "matches *"),
        ({"sources": ["other"]}, Decision.OTHER_SOURCE, "listens to other"),
        ({"sources": []}, Decision.OTHER_SOURCE, "listens to nothing"),
        ({"events": ["a", "b.*"]}, Decision.NO_PATTERN, "'customers.create' matches none of a, b.*"),
        ({"filter": "event.data.n == 1"}, Decision.MATCH, "matches *"),
        ({"filter": "event.data.n == 2"}, Decision.FILTERED, "event.data.n == 2"),
        ({"filter": "event.data.m == 2"}, Decision.FILTER_MISSING_KEY, "m"),
        ({"filter": "event.data.n > 'a'"}, Decision.FILTER_ERROR, "overload"),
    ],
)
def test_every_hook_is_explained(fields, decision, said):
    [explanation] = RoutingTable([hook("crm", **fields)]).explain(event(data={"n": 1}))
    assert explanation.decision == decision
    assert said in explanation.detail


some_hooks = st.lists(
    st.fixed_dictionaries(
        {
            "events": st.lists(
                st.sampled_from(["*", "#", "a.*", "*.b", "a.b", "#.c", "a.#", "b"]), min_size=1, max_size=3
            ),
            "sources": st.none() | st.lists(st.sampled_from(["x", "y"]), max_size=2),
            "enabled": st.booleans(),
            "filter": st.none()
            | st.sampled_from(
                ["event.data.n == 1", "event.data.m", "event.type == 'a.b'", "event.data.n > ''"]
            ),
        }
    ),
    max_size=8,
)


@given(
    some_hooks,
    st.sampled_from(["a", "b", "a.b", "a.b.c", "", "c"]),
    st.sampled_from(["x", "y", "z"]),
    st.sampled_from([None, {"n": 1}, {"m": True}, {"n": 1, "m": False}, []]),
)
def test_matching_and_explaining_agree(several, event_type, source, data):
    table = RoutingTable([hook(f"h{number}", **fields) for number, fields in enumerate(several)])
    about = event(event_type, data, source)
    for _ in range(2):  # the second time from what is remembered
        match = table.match(about)
        told = table.explain(about)
        assert list(match.hooks) == [
            each.hook for each in told if each.decision in (Decision.MATCH, Decision.DISABLED)
        ]
        assert [each for each, _ in match.unanswered] == [
            each.hook
            for each in told
            if each.decision in (Decision.FILTER_MISSING_KEY, Decision.FILTER_ERROR)
        ]


def test_ten_thousand_hooks_cost_hardly_more_per_event_than_ten():
    def table_of(count: int) -> RoutingTable:
        others = [
            hook(f"h{number}", events=[f"t{number}.*", f"#.x{number % 7}.#"], filter="event.data.n == 1")
            for number in range(count)
        ]
        return RoutingTable([*others, hook("mine", filter="event.data.n == 2")])

    small, large = table_of(10), table_of(10_000)
    assert names(small, event(data={"n": 2})) == names(large, event(data={"n": 2})) == ["mine"]
