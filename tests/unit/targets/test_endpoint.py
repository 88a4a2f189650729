import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.target import Auth
from bridge.targets.webhook.address import authorization, parse_proxy, parse_url, static_head


@pytest.mark.parametrize(
    "text",
    [
        "http://example.net",
        "https://example.net:8443/in?x=1&y=%20",
        "https://ex-ample_1.example.net./in",
        "https://bücher.example/in",
        "http://192.0.2.1/",
        "http://[2001:db8::1]:8080/",
        "http://123.example/",
        "HTTPS://EXAMPLE.NET/",
    ],
)
def test_an_ordinary_url_is_taken(text: str) -> None:
    assert parse_url(text).host


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ftp://example.net/", "only http"),
        ("example.net/in", "only http"),
        ("/in", "only http"),
        ("http:///in", "no host"),
        ("http://example.net:0/", "port 0"),
        ("http://example.net:99999/", "not a URL"),
        ("http://example.net:x/", "not a URL"),
        ("http://example.net/#part", "fragment"),
        ("http://example.net/#", "fragment"),
        ("http://user@example.net/", "auth"),
        ("http://user:pass@example.net/", "auth"),
        ("http://:pass@example.net/", "auth"),
        ("http://example.net/a b", "spaces"),
        ("http://example.net/\r\nX: y", "line breaks"),
        ("http://example.net\\@evil.example/", "backslash"),
        ("http://2130706433/", "four decimal"),
        ("http://127.1/", "four decimal"),
        ("http://0x7f.0.0.1/", "four decimal"),
        ("http://0x7f000001/", "four decimal"),
        ("http://0177.0.0.01/", "four decimal"),
        ("http://127.0.0.1./", "four decimal"),
        ("http://exa$mple.net/", "host name"),
        ("http://[::1/", "not a URL"),
        ("http://[fe80::zz]/", "no IPv6 address"),
        ("http://" + "a" * 300 + ".example/", "host name|not a URL"),
    ],
)
def test_a_url_that_cannot_be_requested_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_url(text)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://example.net", "/"),
        ("http://example.net?", "/?"),
        ("http://example.net?a=b", "/?a=b"),
        ("http://example.net/a?", "/a?"),
        ("http://example.net/%2F%40%7E%27%c3%a4%C3", "/%2F%40%7E%27%c3%a4%C3"),
        ("http://example.net/a/../b/./c//d/", "/a/../b/./c//d/"),
        ("http://EXAMPLE.net:80//x://y?z=http://w/?%20+;,@:$&'()*!~-._", "//x://y?z=http://w/?%20+;,@:$&'()*!~-._"),
        ("https://bücher.example/%61?sig=a%2Bb%3D&se=2027-01-01T00%3A00%3A00Z", "/%61?sig=a%2Bb%3D&se=2027-01-01T00%3A00%3A00Z"),
    ],
)  # fmt: skip
def test_path_and_query_are_asked_for_as_they_are_written(text: str, target: str) -> None:
    assert parse_url(text).target == target
    head = static_head("POST", parse_url(text), None, None, {}).decode()
    assert head.startswith(f"POST {target} HTTP/1.1\r\n")


@given(st.from_regex(r"(?:/(?:[a-zA-Z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?", fullmatch=True))
def test_no_valid_path_or_query_is_changed(written: str) -> None:
    endpoint = parse_url(f"https://example.net:8443{written}")
    assert endpoint.target == written or (written, endpoint.target) == ("", "/")
    assert endpoint.authority == "example.net:8443"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("http://example.net/a|b", "%7C"),
        ("http://example.net/ä", "%C3%A4"),
        ("http://example.net/?a=😀", "%F0%9F%98%80"),
        ("http://example.net/?a[]=1", "%5B"),
        ("http://example.net/{id}", "%7B"),
        ('http://example.net/"', "%22"),
        ("http://example.net/a^b`<>", "%5E"),
        ("http://example.net/100%", "%25"),
        ("http://example.net/%zz", "%25"),
        ("http://example.net/?a=%4", "%25"),
    ],
)
def test_a_url_that_holds_what_must_be_escaped_is_refused_with_the_escape(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_url(text)


def test_an_error_never_repeats_a_password() -> None:
    with pytest.raises(ValueError, match="auth") as caught:
        parse_url("http://user:hunter2@example.net/")
    assert "hunter2" not in str(caught.value)


def test_a_proxy_may_have_a_user_and_no_path() -> None:
    assert parse_proxy("http://user:pass@proxy.example.net:3128").user == "user"
    with pytest.raises(ValueError, match="no path"):
        parse_proxy("http://proxy.example.net:3128/x")
    with pytest.raises(ValueError, match="only http"):
        parse_proxy("socks5://proxy.example.net")


@pytest.mark.parametrize(
    ("auth", "says"),
    [
        ({"type": "bearer"}, "token"),
        ({"type": "basic", "password": "x"}, "username"),
        ({"type": "basic", "username": "a:b"}, "colon"),
        ({"type": "bearer", "token": "a\r\nb"}, "line break"),
        ({"type": "bearer", "token": "\ud800"}, "no header"),
    ],
)
def test_incomplete_authentication_is_refused(auth: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        authorization(Auth.model_validate(auth))
    assert "a\r\nb" not in str(caught.value)


def test_plain_http_through_a_proxy_asks_it_for_the_whole_url() -> None:
    proxy = parse_proxy("http://user:p%40ss@proxy.example.net:3128")
    head = static_head("POST", parse_url("http://example.net/%2Fin?x=%7c"), proxy, None, {}).decode()
    assert head.startswith("POST http://example.net/%2Fin?x=%7c HTTP/1.1\r\nHost: example.net\r\n")
    assert "Proxy-Authorization: Basic dXNlcjpwQHNz\r\n" in head


def test_https_through_a_proxy_shows_it_nothing() -> None:
    proxy = parse_proxy("http://user:pass@proxy.example.net:3128")
    head = static_head("POST", parse_url("https://example.net/in"), proxy, None, {}).decode()
    assert head.startswith("POST /in HTTP/1.1\r\nHost: example.net\r\n")
    assert "Proxy-Authorization" not in head
