"""What json://, xml:// and form:// ask their host for: what stands in the URL, without Apprise's own options."""

import pytest

from bridge.targets.notify.guard import written


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("json://h", "/"),
        ("jsons://u:p@h:8443/a%2Fb//c/", "/a%2Fb//c/"),
        ("xml://h/%7E%40%c3%A9/./x?method=PUT&+X-Key=k", "/%7E%40%c3%A9/./x"),
        ("form://h/hook?-sig=a%2Bb%7E%3d&-Expires=17&format=text", "/hook?sig=a%2Bb%7E%3d&Expires=17"),
        ("json://h?-a=1", "/?a=1"),
        ("json://h/a?%2Dk=v;-l", "/a?k=v&l"),
    ],
)
def test_path_and_parameters_are_sent_as_they_are_written(url: str, target: str):
    found = written(url, url.partition(":")[0], "POST")
    assert found is not None
    assert found.instead_of("/made?of=it") == target


def test_a_form_that_is_asked_for_with_get_keeps_the_message_in_its_query():
    found = written("form://h/%7Ea?-k=%7E&method=get", "form", "GET")
    assert found is not None
    assert found.instead_of("/~a?message=hello&k=~") == "/%7Ea?message=hello&k=~"


@pytest.mark.parametrize(
    ("url", "scheme"), [("ntfy://h/%7E", "ntfy"), ("json://h/ž", "json"), ("json://h/a%2", "json")]
)
def test_services_with_targets_of_their_own_and_urls_that_are_none_are_left_to_apprise(url: str, scheme: str):
    assert written(url, scheme, "POST") is None
