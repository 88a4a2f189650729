import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from devtools.choice.broker import Broker
from devtools.demo import display
from devtools.demo.show import running
from devtools.demo.stage import prepared
from devtools.demo.verdict import Evidence, Tally
from devtools.project import SetupError

GOOD = Evidence(
    tally=Tally(2, Counter({("crm", "webhook", "SUCCESS"): 2, ("copy", "queue", "SUCCESS"): 2})),
    hooks=["crm", "copy"],
    published=[b"one", b"two"],
    copied=[b"two", b"one"],
    left_in_source=0,
    receiver_lines=["verified  standard    /crm  3 bytes"] * 2,
    exit_code=0,
)
RETRYING = Tally(2, Counter({("crm", "webhook", "SUCCESS"): 2, ("copy", "queue", "RETRYING"): 2}))


def test_nothing_is_said_against_a_demo_that_went_well() -> None:
    assert list(GOOD.complaints()) == []
    assert "2 events, 4 deliveries, all SUCCESS; 2 signatures verified" in GOOD.summary()


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (replace(GOOD, tally=RETRYING), "2 deliveries of hook copy are RETRYING"),
        (replace(GOOD, tally=Tally(1, GOOD.tally.deliveries)), "the history has 1 of 2 events"),
        (replace(GOOD, hooks=[*GOOD.hooks, "announce"]), "hook announce was given nothing"),
        (replace(GOOD, copied=[b"one"]), "of 2 messages 1 are in the target queue"),
        (replace(GOOD, copied=[b"one", b"two "]), "of 2 messages 1 are in the target queue"),
        (replace(GOOD, copied=[b"one", b"two", b"two"]), "of 2 messages 2 are in the target queue"),
        (replace(GOOD, left_in_source=1), "the source queue is not empty"),
        (replace(GOOD, left_in_source=None), "the source queue is gone"),
        (replace(GOOD, exit_code=1), "exit code 1 after SIGTERM"),
        (replace(GOOD, receiver_lines=GOOD.receiver_lines[:1]), "the receiver verified 1 webhooks"),
        (
            replace(GOOD, receiver_lines=[*GOOD.receiver_lines, "REFUSED   there is no signature"]),
            "could not be verified: REFUSED   there is no signature",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_said(bad: Evidence, complaint: str) -> None:
    assert complaint in "\n".join(bad.complaints())


def test_a_tally_counts_what_waits_and_what_was_delivered(tmp_path: Path) -> None:
    history = tmp_path / "history.db"
    with closing(sqlite3.connect(history)) as database:
        database.execute("create table events (id)")
        database.execute("create table deliveries (hook, target, status)")
        database.execute("insert into events values (1), (2)")
        rows = [("a", "webhook", "SUCCESS"), ("b", "webhook", "SUCCESS"), ("b", "webhook", "PENDING")]
        database.executemany("insert into deliveries values (?, ?, ?)", rows)
        database.commit()
    tally = Tally.of(history)
    assert (tally.events, tally.waiting, tally.delivered("webhook"), tally.delivered("queue")) == (2, 1, 2, 0)


@pytest.fixture
def no_broker() -> Broker:
    return Broker("amqp://guest:guest@127.0.0.1:1/")


def test_a_broker_that_fails_is_one_message_and_leaves_no_folder(
    no_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(SetupError, match="the broker failed us"), prepared(no_broker):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_bridge_that_cannot_start_is_told_with_its_own_words(
    amqp_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with prepared(Broker(amqp_url, given=True)) as stage:
        refused = replace(stage, broker_url="amqp://guest:guest@127.0.0.1:1/")
        said = pytest.raises(SetupError, match=r"(?s)the bridge ended with exit code 1.*127\.0\.0\.1:1")
        with said, running(refused):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_failed_attempt_is_shown_with_its_reason_and_when_it_is_tried_again() -> None:
    fields = {
        "time": "2025-05-05T10:00:00.123456Z",
        "event": "attempt.failed",
        "type": "a\x1b[2J.b",
        "hook": "crm",
        "target": "webhook",
        "then": "RetryLater",
        "code": 503,
        "duration_ms": 12.34,
        "error": "",
        "wait": 5.0,
    }
    text = display.shown(fields)
    assert text is not None
    assert "\x1b" not in text
    assert text.split()[1:] == [
        "a\\x1b[2J.b",
        "crm",
        "webhook",
        "RETRYING",
        "503",
        "12.3",
        "ms",
        "(again",
        "in",
        "5",
        "s)",
    ]


def test_of_other_lines_only_warnings_and_crashes_are_shown() -> None:
    assert display.shown({"event": "bridge.started", "level": "info"}) is None
    warning = {"event": "hook.paused", "level": "warning", "hook": "crm", "logger": "x", "time": "y"}
    assert display.shown(warning) == "WARNING: hook.paused hook=crm"
    traceback = "Traceback (most recent call last):"
    assert display.shown(display.parse(traceback)) == traceback
    assert display.shown(display.parse("")) is None
