"""Sealed sessions, login links and CSRF tokens."""

from base64 import urlsafe_b64decode
from hashlib import sha256

import pytest

from bridge.ui.session import IDLE, LINK, LONGEST, RENEWED, Sessions, new_session

DIGEST = sha256(b"token").hexdigest()
NOW = 1_790_000_000.0


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(["a key, long enough"])


def test_a_cookie_opens_to_the_session_it_was_made_of(sessions: Sessions):
    made = new_session(DIGEST, NOW)
    assert sessions.session(sessions.cookie(made), NOW) == made


def test_a_replica_opens_what_another_one_has_sealed_also_after_a_key_was_added(sessions: Sessions):
    cookie = sessions.cookie(new_session(DIGEST, NOW))
    assert Sessions(["a newer key", "a key, long enough"]).session(cookie, NOW) is not None


def test_nobody_else_opens_or_makes_one(sessions: Sessions):
    made = new_session(DIGEST, NOW)
    assert sessions.session(Sessions(["another key"]).cookie(made), NOW) is None
    assert Sessions([]).session(Sessions([]).cookie(made), NOW) is None


@pytest.mark.parametrize("text", ["", "x", "AAAA", "é", "=" * 40, "A" * 200])
def test_no_text_is_taken_for_a_cookie(sessions: Sessions, text: str):
    assert sessions.session(text, NOW) is None


def test_a_changed_cookie_is_none(sessions: Sessions):
    cookie = sessions.cookie(new_session(DIGEST, NOW))
    assert sessions.session(cookie[:-2] + ("AA" if cookie[-2:] != "AA" else "BB"), NOW) is None


def test_a_cookie_names_neither_the_token_nor_its_digest(sessions: Sessions):
    cookie = sessions.cookie(new_session(DIGEST, NOW))
    raw = urlsafe_b64decode(cookie + "==")
    assert bytes.fromhex(DIGEST) not in raw
    assert DIGEST not in cookie


def test_a_session_ends_when_nobody_used_it_and_at_the_latest_after_a_week(sessions: Sessions):
    made = new_session(DIGEST, NOW)
    assert not made.is_over(NOW + IDLE - 1)
    assert made.is_over(NOW + IDLE)
    used = made
    for hour in range(1, 24 * 7):
        used = used.renewed(NOW + hour * 3600) or used
    assert not used.is_over(NOW + LONGEST - 1)
    assert used.is_over(NOW + LONGEST)


def test_a_cookie_is_written_anew_once_a_minute():
    made = new_session(DIGEST, NOW)
    assert made.renewed(NOW + RENEWED - 1) is None
    assert made.renewed(NOW + RENEWED) is not None


def test_a_login_link_is_good_once_and_for_minutes(sessions: Sessions):
    link = sessions.link(DIGEST, NOW)
    assert sessions.linked(link, NOW, use=False) == DIGEST
    assert sessions.linked(link, NOW, use=True) == DIGEST
    assert sessions.linked(link, NOW, use=True) is None
    assert sessions.linked(sessions.link(DIGEST, NOW), NOW + LINK, use=True) is None


def test_a_login_link_is_no_cookie_and_a_cookie_no_link(sessions: Sessions):
    assert sessions.session(sessions.link(DIGEST, NOW), NOW) is None
    assert sessions.linked(sessions.cookie(new_session(DIGEST, NOW)), NOW, use=True) is None


def test_a_csrf_token_is_of_its_session_and_looks_different_in_each_answer(sessions: Sessions):
    mine, other = new_session(DIGEST, NOW), new_session(DIGEST, NOW)
    one, two = sessions.csrf(mine), sessions.csrf(mine)
    assert one != two
    assert sessions.is_csrf(mine, one)
    assert sessions.is_csrf(mine, two)
    assert not sessions.is_csrf(other, one)


@pytest.mark.parametrize("text", ["", "é", "AAAA", "A" * 44, "x" * 1000])
def test_no_other_text_is_a_csrf_token(sessions: Sessions, text: str):
    assert not sessions.is_csrf(new_session(DIGEST, NOW), text)
