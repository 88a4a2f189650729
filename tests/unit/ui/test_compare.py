"""Two attempts compared."""

from typing import Any

from bridge.ui.compare import changes


def an_attempt(**members: Any) -> dict[str, Any]:
    sent = {"method": "POST", "to": "https://a.test", "body_sha256": "x", "settings": "s", "headers": []}
    known = {"number": 1, "outcome": "status", "status_code": 503, "error": None, "response": "no"}
    return {**known, "request": sent, "response_headers": [], **members}


def test_equal_attempts_do_not_differ_whatever_their_times():
    assert changes(an_attempt(started_at="a"), an_attempt(started_at="b", number=2)) == []


def test_status_answer_and_headers_that_changed_are_told_by_their_names_in_any_case():
    before = an_attempt(response_headers=[{"name": "Server", "value": "a"}, {"name": "X", "value": "1"}])
    after = an_attempt(
        status_code=502, response_headers=[{"name": "server", "value": "b"}, {"name": "Y", "value": "2"}]
    )
    assert changes(before, after) == [
        ("status code", "503", "502"),
        ("response header server", "a", "b"),
        ("response header x", "1", ""),
        ("response header y", "", "2"),
    ]


def test_an_attempt_without_evidence_is_compared_by_its_result_alone():
    before = an_attempt(request=None, response_headers=None, outcome="timeout", status_code=None)
    assert [each.name for each in changes(before, an_attempt())] == ["outcome", "status code"]
