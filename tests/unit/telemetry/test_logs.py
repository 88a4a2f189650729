"""Log lines: their form, their weight, and what they never hold."""

import io
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from bridge.core.delivery import Attempt, Delivered, Delivery, RetryLater, TraceContext
from bridge.core.event import Event, Message
from bridge.settings.loading import load
from bridge.telemetry import events, logs
from bridge.telemetry.logs import Repeats


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(capture=False)


def delivery(event_type: str = "customers.create") -> Delivery:
    return Delivery("d1", Event("e1", "splynx", event_type, "splynx", 0.0, Message(b"")), "crm")


FAILED = Attempt(2, 0.0, 12.345, "timeout", None, b"", "no answer within 15 s")
DONE = Attempt(1, 0.0, 12.345, "delivered", 200)


def lines(level: logs.Level, write: Any) -> list[dict[str, Any]]:
    stream = io.StringIO()
    logs.set_up(level, "auto", stream)
    write()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_failed_attempt_is_one_wide_line_at_info():
    (line,) = lines(
        "info", lambda: events.attempted(delivery(), "webhook", FAILED, RetryLater(5.04, "timeout"))
    )
    time = line.pop("time")
    assert time.endswith("Z")
    assert line == {
        "event": "attempt.failed",
        "level": "info",
        "logger": "bridge.attempts",
        "delivery": "d1",
        "event_id": "e1",
        "type": "customers.create",
        "source": "splynx",
        "hook": "crm",
        "target": "webhook",
        "attempt": 2,
        "outcome": "timeout",
        "code": None,
        "duration_ms": 12.3,
        "error": "no answer within 15 s",
        "wait": 5.0,
        "then": "RetryLater",
    }


def test_the_line_of_an_attempt_names_trace_and_span_if_there_are_any():
    traced = replace(delivery(), trace=TraceContext(f"00-{'a' * 32}-{'b' * 16}-01"))
    (line,) = lines("info", lambda: events.attempted(traced, "webhook", FAILED, RetryLater(5.04, "timeout")))
    assert (line["trace_id"], line["span_id"]) == ("a" * 32, "b" * 16)


def test_a_delivered_attempt_is_a_line_at_debug_only():
    def write() -> None:
        events.attempted(delivery(), "webhook", DONE, Delivered())

    assert lines("info", write) == []
    assert [line["event"] for line in lines("debug", write)] == ["attempt.delivered"]


@pytest.mark.parametrize("text", ["\ud800", "a\nb", "\x1b[2J", "ž", '"'])
def test_any_text_of_a_publisher_stays_one_line_of_json(text: str):
    (line,) = lines("info", lambda: events.attempted(delivery(text), "webhook", FAILED, Delivered()))
    assert line["type"] == text


def test_huge_integers_are_written_as_they_are():
    (line,) = lines("info", lambda: logging.getLogger("x").info("n", extra={"n": 2**70}))
    assert line["n"] == 2**70


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\ud800", "\x9b2J"])
def test_the_console_is_not_steered_by_what_publishers_send(text: str):
    stream = io.StringIO()
    logs.set_up("info", "console", stream)
    events.attempted(delivery(text), "webhook", FAILED, Delivered())
    written = stream.getvalue()
    assert text not in written
    assert written.isascii()
    assert written.count("\n") == 1


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_no_local_variables(form: logs.Format):
    stream = io.StringIO()
    logs.set_up("info", form, stream)

    def fail(password: str) -> None:
        raise ValueError(len(password))

    try:
        fail("hunter1"[:-1] + "2")
    except ValueError as error:
        events.hook_failed("crm", error)
    assert "Traceback" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_libraries_log_through_the_same_door_from_warning_up():
    def write() -> None:
        logging.getLogger("aiohttp.client").info("chatter")
        logging.getLogger("aiohttp.client").warning("lost %s", "it")
        logging.getLogger("aiormq.connection").error("told by our supervision")
        logging.getLogger("some.library").info("hello")

    assert [line["event"] for line in lines("info", write)] == ["lost it", "hello"]


def test_setting_up_again_replaces_what_was_set_up():
    first = io.StringIO()
    logs.set_up("debug", "json", first)
    (line,) = lines("info", lambda: events.quarantined("splynx", "too_large", "200 MB"))
    assert line["reason"] == "too_large"
    assert first.getvalue() == ""


def test_the_answer_of_a_receiver_is_not_logged():
    attempt = Attempt(1, 0.0, 1.0, "status", 500, b"from the receiver")
    (line,) = lines("info", lambda: events.attempted(delivery(), "webhook", attempt, Delivered()))
    assert "from the receiver" not in str(line)


def test_a_line_that_an_outage_repeats_is_told_ten_times_in_ten_seconds_and_counted_from_then_on():
    clock = [0.0]
    repeats = Repeats(lambda: clock[0])

    def told(name: str, **fields: Any) -> dict[str, Any] | None:
        try:
            return dict(repeats(None, "warning", {"event": name, **fields}))
        except structlog.DropEvent:
            return None

    def many(name: str, **fields: Any) -> int:
        return sum(told(name, **fields) is not None for _ in range(500))

    assert many("copy.failed", hook="crm") == 10
    assert many("copy.failed", hook="mail") == 10
    assert many("connection.lost", role="publish") == 10
    assert many("hook.paused", hook="crm") == 500
    clock[0] = 10.0
    assert told("copy.failed", hook="crm") == {"event": "copy.failed", "hook": "crm", "left_out": 490}
    assert told("copy.failed", hook="crm") == {"event": "copy.failed", "hook": "crm"}


def test_what_is_counted_is_bounded_however_many_hooks_are_concerned():
    repeats = Repeats(lambda: 0.0)
    for number in range(3000):
        repeats(None, "warning", {"event": "copy.failed", "hook": f"h{number}"})
    assert len(repeats._spans) <= 1000


def test_settings_are_read_without_a_word_of_their_values(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYDANTIC_SETTINGS_DEBUG", "1")
    monkeypatch.setenv("BRIDGE_HTTP__ADMIN_TOKEN", "a-token-that-nobody-may-see")
    stream = io.StringIO()
    logs.set_up("debug", "json", stream)
    load(None, os.environ)
    assert "a-token" not in stream.getvalue()
