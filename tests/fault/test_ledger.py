"""The checker itself: whatever is missing, invented or counted wrongly is said."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fault.schedule.faults import Done
from tests.fault.schedule.report import Report, recoveries, repeats_bound
from tests.support.ledger import STATES, Books, Copy, Row, balance, whereabouts

DELIVERED = [Row("e-1", "crm", "d-1", "SUCCESS"), Row("e-2", "crm", "d-2", "SUCCESS")]
GOOD = Books(
    hooks=["crm"],
    sent={"e-1": 1, "e-2": 2},
    answered={"crm": {"e-1": 1, "e-2": 3}},
    rows=DELIVERED,
    stores=frozenset({"dead"}),
    counts={"source": 0, "lane": 0, "dead": 0},
)


def test_books_that_agree_add_up_and_count_what_was_repeated():
    found = balance(GOOD)
    assert found.adds_up
    assert found.of("crm").events == {"delivered": 2}
    assert (found.of("crm").repeated, found.of("crm").sent_again) == (2, 1)
    assert "crm: 2 delivered; repeated 2 times" in str(found)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rows": DELIVERED[:1]}, "1 lost for crm: e-2"),
        ({"sent": {"e-1": 1}}, "1 known but never published: e-2"),
        ({"answered": {"crm": {"e-1": 1}}}, "recorded as delivered to crm, which never got it: e-2"),
        (
            {"rows": [*DELIVERED, Row("e-2", "crm", "d-3", "RETRYING")]},
            "1 waiting in the history and nowhere else: e-2 for crm (RETRYING, d-3)",
        ),
        (
            {
                "rows": [*DELIVERED, Row("e-2", "crm", "d-3", "PENDING")],
                "copies": [Copy("dead", "crm", "d-3", "e-2")],
            },
            "1 in dead without an end: e-2 for crm",
        ),
        (
            {"copies": [Copy("lane", "crm", "d-1", "e-1")], "counts": {"lane": 2}},
            "the broker counts 2 in lane, 1 were found there",
        ),
        ({"counts": {"lane": 2}}, "the broker counts 2 in lane, 0 were found there"),
    ],
    ids=["lost", "invented", "unseen", "stuck", "dead", "miscounted", "uncounted"],
)
def test_what_does_not_agree_is_said(change, said):
    found = balance(replace(GOOD, **change))
    assert not found.adds_up
    assert said in str(found)


def test_an_event_may_wait_fail_be_quarantined_or_stay_at_the_source():
    books = Books(
        hooks=["crm"],
        sent=dict.fromkeys(("waits", "waits-unrecorded", "failed", "kept", "stays", "skipped"), 1),
        answered={},
        rows=[
            Row("waits", "crm", "d-1", "RETRYING"),
            Row("failed", "crm", "d-2", "FAILED"),
            Row("skipped", "crm", "d-3", "SKIPPED"),
        ],
        quarantined={"kept": 1},
        at_source={"stays": 1},
        copies=[Copy("delay", "crm", "d-1", "waits"), Copy("lane", "crm", "d-9", "waits-unrecorded")],
        counts={"delay": 1, "lane": 1},
    )
    found = balance(books)
    assert found.adds_up
    assert found.of("crm").events == {
        "waiting": 2,
        "failed": 1,
        "skipped": 1,
        "quarantined": 1,
        "at source": 1,
    }


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.sets(st.sampled_from(["SUCCESS", "FAILED"])))
)
def test_every_published_event_is_in_exactly_one_place(fates):
    rows = [Row(event, "crm", f"{event} {fate}", fate) for event in fates for fate in sorted(fates[event])]
    books = Books(hooks=["crm"], sent=dict.fromkeys(fates, 1), answered={}, rows=rows)
    places = whereabouts(books, "crm")
    assert set(places) == set(fates)
    assert set(places.values()) <= set(STATES)
    assert Counter(places.values())["lost"] == sum(not fate for fate in fates.values())
    assert sum(balance(books).of("crm").events.values()) == len(fates)


REPORT = Report(
    seed=7,
    balance=balance(GOOD),
    faults={"kill -9 of the bridge": 1},
    recoveries=[],
    memory_mb=80.0,
    seconds=10.0,
    drain_seconds=1.0,
    repeats_bound=1,
)


def test_a_run_passes_only_when_the_books_agree_repeats_are_bounded_and_nothing_was_odd():
    assert REPORT.passed
    assert "nothing is lost and all sums agree" in str(REPORT)
    lost = replace(REPORT, balance=balance(replace(GOOD, rows=DELIVERED[:1])))
    odd = replace(REPORT, surprises=("the bridge ended by itself",))
    for failed in (lost, odd, replace(REPORT, repeats_bound=0)):
        assert not failed.passed
        assert str(failed).endswith("again with --seed 7")


def test_recovery_lasts_until_every_hook_whose_endpoint_is_well_got_a_new_event():
    faults = [
        Done("kill -9 of a node", 0.0, 10.0),
        Done("endpoint refuses", 9.0, 20.0, "ill"),
        Done("connections cut", 90.0, 95.0),
    ]
    arrivals = {"well": [9.0, 12.5, 30.0, 96.0], "ill": [9.5, 21.0, 96.5]}
    found = recoveries(faults, arrivals, until=94.0)
    assert [(one.kind, one.seconds) for one in found] == [
        ("kill -9 of a node", 2.5),
        ("endpoint refuses", 10.0),
    ]


def test_only_faults_that_have_messages_handed_out_again_allow_for_repeats():
    assert repeats_bound({"kill -9 of a node": 2, "endpoint slow": 5, "database locked": 1}, 100) == 200
