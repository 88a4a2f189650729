from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.headers import check_headers, header_text, identifier, retry_after, traceparent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NOW = 1_746_428_889.0
TEN_YEARS = 315_360_000.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("12.5", 12.5),
        ("0.75", 0.75),
        (".5", 0.5),
        ("12.", 12.0),
        ("+30", 30.0),
        ("1e2", 100.0),
        ("30s", 30.0),
        ("30 seconds", 30.0),
        ('"120"', 120.0),
        ("120, 60", 120.0),
        ("-99.5", 0.0),
        ("9999999999", TEN_YEARS),
        ("9" * 300, TEN_YEARS),
        ("1e999", TEN_YEARS),
        ("Mon, 05 May 2025 07:10:09 GMT", 120.0),
        ("Mon, 05 May 2025 07:08:00 GMT", 0.0),
        ("Mon, 05 May 2025 09:10:09 +0200", 120.0),
        ("Monday, 05-May-25 07:10:09 GMT", 120.0),
        ("Mon May  5 07:10:09 2025", 120.0),
        ("Mon, 05 May 2025 07:10:09", 120.0),
        ("2025-05-05T07:10:09Z", 120.0),
        ("2025-05-05T09:10:09+02:00", 120.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", TEN_YEARS),
        ("Fri, 31 Dec 99999 23:59:59 GMT", TEN_YEARS),
        ("Sun Dec 31 23:59:59 12025", TEN_YEARS),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value, seconds):
    assert retry_after([value], NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "nan",
        "inf",
        "0x10",
        "1,2,x",
        "٣",
        "Mon, 99 Foo 2025",
        "5 minutes",
        "10000 years",
    ],
)
def test_a_retry_after_that_says_nothing_is_ignored(value):
    assert retry_after([value], NOW) is None


def test_of_several_waits_the_longest_counts():
    assert retry_after(["5", "soon", "Mon, 05 May 2025 07:10:09 GMT"], NOW) == 120.0
    assert retry_after([], NOW) is None


@pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
def test_a_date_counts_from_the_answer_s_own_whatever_our_clock_says(ahead):
    date = "Mon, 05 May 2025 07:08:09 GMT"
    assert retry_after(["Mon, 05 May 2025 07:10:09 GMT"], NOW + ahead, date=date) == 120.0
    assert retry_after(["Mon, 05 May 2025 07:10:09 GMT"], NOW, date="yesterday") == 120.0


@given(st.text())
def test_no_retry_after_raises_or_asks_for_the_past(value):
    assert (retry_after([value], NOW) or 0.0) >= 0.0


@given(st.integers(0, 200_000_000_000))
def test_every_http_date_is_understood(seconds):
    moment = datetime.fromtimestamp(seconds, UTC)
    wait = min(max(0.0, seconds - NOW), TEN_YEARS)
    forms = [
        format_datetime(moment, usegmt=True),
        moment.strftime("%a %b %e %H:%M:%S ") + f"{moment.year:04}",
    ]
    if moment.year < 2050:
        forms.append(moment.strftime("%A, %d-%b-%y %H:%M:%S GMT"))
    assert [retry_after([form], NOW) for form in forms] == [wait] * len(forms)


@pytest.mark.parametrize("value", [TRACE, TRACE.encode()])
def test_a_trace_context_is_passed_on_from_text_and_bytes(value):
    assert traceparent(value) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        TRACE.upper(),
        TRACE + "\r\nX: y",
        TRACE + "\n",
        "ff" + TRACE[2:],
        TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACE.replace("00f067aa0ba902b7", "0" * 16),
        b"\xff\xfe",
        [TRACE],
    ],
)
def test_what_is_no_trace_context_is_left_out(value):
    assert traceparent(value) is None


def test_text_that_can_stand_in_a_header_is_left_alone():
    assert header_text("customers.create: yes/no") == "customers.create: yes/no"


@given(st.text())
def test_header_text_is_always_printable_ascii(text):
    assert header_text(text).isascii()
    assert header_text(text).isprintable()


@given(st.text(), st.text())
def test_two_ids_never_become_one(one, other):
    assert (identifier(one) == identifier(other)) == (one == other)


def test_ordinary_ids_are_left_alone():
    assert identifier("01987a5c-0000-7000-8000-000000000000") == "01987a5c-0000-7000-8000-000000000000"
    assert identifier("a.b\r\n") == "a%2Eb%0D%0A"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("X Y", "v", "no header name"),
        ("", "v", "no header name"),
        ("X-Ü", "v", "no header name"),
        ("X\r\nY", "v", "no header name"),
        ("X-Y", "a\r\nSet-Cookie: b", "line break"),
        ("X-Y", "a\0", "control"),
        ("X-Y", "\ud800", "Unicode"),
        ("content-LENGTH", "1", "HTTP client"),
        ("Transfer-Encoding", "chunked", "HTTP client"),
        ("Host", "evil", "HTTP client"),
        ("Connection", "close", "HTTP client"),
        ("Webhook-Signature", "v1,x", "cannot be replaced"),
    ],
)
def test_a_header_that_cannot_be_sent_is_named(name, value, says):
    with pytest.raises(ValueError, match=says):
        check_headers([("X-Fine", "1"), (name, value)], {"webhook-signature"})


def test_ordinary_headers_may_be_sent():
    check_headers([("X-Tenant", "Žižkov\t1"), ("Content-Type", "text/plain")], {"webhook-signature"})
