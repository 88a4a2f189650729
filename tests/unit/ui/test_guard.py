"""Which forms are ours, and where a login leads back to."""

import pytest
from aiohttp.test_utils import make_mocked_request

from bridge.ui.guard import HEADERS, Place


def is_own(place: Place, origin: str | None, host: str = "bridge.test:8080") -> bool:
    headers = {"Host": host} if origin is None else {"Host": host, "Origin": origin}
    return place.is_own(make_mocked_request("POST", "/ui/login", headers=headers))


@pytest.mark.parametrize("origin", ["http://bridge.test:8080", "https://bridge.test:8080"])
def test_a_form_of_the_same_host_is_ours(origin: str):
    assert is_own(Place.of(None), origin)


@pytest.mark.parametrize(
    "origin",
    [None, "null", "", "http://evil.test", "http://bridge.test", "http://bridge.test:8080.evil.test"],
)
def test_a_form_of_another_origin_or_of_none_is_not(origin: str | None):
    assert not is_own(Place.of(None), origin)


def test_behind_a_proxy_the_origin_is_that_of_the_setting():
    place = Place.of("https://ops.example.net/amqp/")
    assert (place.root, place.secure) == ("/amqp/ui", True)
    assert is_own(place, "https://ops.example.net", host="10.0.0.7:8080")
    assert not is_own(place, "http://10.0.0.7:8080", host="10.0.0.7:8080")


@pytest.mark.parametrize(
    "text", ["//evil.test", "/evil", "https://evil.test", "javascript:alert(1)", "\\\\evil.test", "a\nb"]
)
def test_a_login_never_leads_elsewhere(text: str):
    assert Place.of(None).safe_return(text) == "/ui/"


def test_a_login_leads_back_to_where_one_was():
    assert (
        Place.of(None).safe_return("deliveries?from=2026-01-01T00:00:00Z")
        == "/ui/deliveries?from=2026-01-01T00:00:00Z"
    )


def test_nothing_inline_runs_and_nothing_of_another_origin_loads():
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
