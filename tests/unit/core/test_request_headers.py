import pytest
from pydantic import ValidationError

from bridge.core.target import WebhookTarget


def headers(given: object) -> dict[str, str]:
    return WebhookTarget.model_validate({"type": "webhook", "url": "http://x", "headers": given}).headers


def test_headers_are_given_by_name_or_as_cockpit_lists_them():
    assert headers({"X-Env": "prod"}) == {"X-Env": "prod"}
    assert headers([{"k": "X-Env", "v": "prod"}, {"k": "X-B", "v": "1"}]) == {"X-Env": "prod", "X-B": "1"}


def test_a_pair_without_name_or_value_is_passed_over_as_cockpit_does():
    assert headers([{"k": "", "v": "skipped"}, {"k": "X-A", "v": ""}, {"k": "X-B"}, {}]) == {}


@pytest.mark.parametrize("given", [["X-Env: prod"], [{"key": "X-Env", "value": "prod"}], [None], "X: y"])
def test_any_other_list_is_refused(given: object):
    with pytest.raises(ValidationError):
        headers(given)


def test_a_value_that_is_no_text_is_refused():
    with pytest.raises(ValidationError):
        headers([{"k": "X-Env", "v": 5}])
