"""What a token endpoint's answer comes to, and what it is asked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.target import Auth
from bridge.targets.webhook.address import auth_checks, parse_url
from bridge.targets.webhook.exchange import HttpResponse
from bridge.targets.webhook.oauth import AccessToken, read_token, token_request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def answered(fields: Any, code: int = 200) -> AccessToken | str:
    return read_token(HttpResponse(code, {}, json.dumps(fields).encode()), 1000.0)


def lasting(expires_in: Any) -> float:
    token = answered({"access_token": "t", "token_type": "bearer", "expires_in": expires_in})
    assert isinstance(token, AccessToken)
    return token.expires_at - 1000.0


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600),
        ("3600", 3600),
        (0.5, 0.5),
        (None, 300),
        ("soon", 300),
        (0, 300),
        (-1, 300),
        ("nan", 300),
        ([], 300),
        ("inf", 86_400),
        (10**9, 86_400),
    ],
)
def test_a_token_lasts_as_long_as_it_says_and_five_minutes_where_it_does_not(
    expires_in: Any, seconds: float
) -> None:
    assert lasting(expires_in) == seconds


@pytest.mark.parametrize(("life", "ahead"), [(3600, 60), (300, 60), (100, 20), (1, 0.2)])
def test_a_token_is_renewed_a_minute_ahead_or_a_fifth_of_its_life(life: float, ahead: float) -> None:
    token = answered({"access_token": "t", "token_type": "Bearer", "expires_in": life})
    assert isinstance(token, AccessToken)
    assert token.expires_at - token.renew_at == pytest.approx(ahead)


@pytest.mark.parametrize("kind", ["bearer", "Bearer", "BEARER"])
def test_the_type_of_a_token_may_be_written_in_any_case(kind: str) -> None:
    token = answered({"access_token": "a.b-c_d~e+f/g==", "token_type": kind})
    assert isinstance(token, AccessToken)
    assert token.line == b"Authorization: Bearer a.b-c_d~e+f/g==\r\n"


@given(
    st.integers(100, 599), JSON | st.fixed_dictionaries({}, optional={"access_token": JSON, "error": JSON})
)
def test_no_answer_is_a_surprise(code: int, fields: Any) -> None:
    assert isinstance(read_token(HttpResponse(code, {}, json.dumps(fields).encode()), 0.0), AccessToken | str)


@given(st.binary())
def test_no_bytes_are_a_surprise(body: bytes) -> None:
    assert isinstance(read_token(HttpResponse(200, {}, body), 0.0), str)


@given(st.text(alphabet=st.characters(codec="utf-8")), st.text(alphabet=st.characters(codec="utf-8")))
def test_no_text_breaks_the_request(client_id: str, scope: str) -> None:
    auth = Auth.model_validate({"type": "oauth2", "client_id": client_id, "scope": scope})
    head, _, content = token_request(auth, parse_url("https://id.example/token"), None).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(content)}".encode() in head.split(b"\r\n")
    assert head.count(b"\r\n") == 7
    assert b" " not in content


def test_the_example_of_the_standard_is_encoded_as_it_shows() -> None:
    # RFC 6749 appendix B
    auth = Auth.model_validate(
        {
            "type": "oauth2",
            "client_id": "x",
            "client_secret": " %&+\u00a3\u20ac",
            "client_auth": "body",
        }
    )
    request = token_request(auth, parse_url("https://id.example/token"), None)
    assert request.endswith(b"&client_secret=+%25%26%2B%C2%A3%E2%82%AC")


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({}, "token_url", "needs a `token_url`"),
        ({"token_url": "ftp://id.example/"}, "token_url", "only http"),
        ({"token_url": "https://u:p@id.example/"}, "token_url", "user and password"),
        ({}, "client_id", "needs a `client_id`"),
        ({}, "client_secret", "needs a `client_secret`"),
        ({"client_secret": "\ud800"}, "client_secret", "Unicode"),
        ({"scope": "\ud800"}, "scope", "Unicode"),
        ({"audience": "\ud800"}, "audience", "Unicode"),
    ],
)
def test_what_a_client_lacks_is_named(given: dict[str, str], field: str, says: str) -> None:
    checks = auth_checks(Auth.model_validate({"type": "oauth2", **given}))
    with pytest.raises(ValueError, match=says):
        checks[field]()
