"""What is no hook."""

import pytest
from pydantic import ValidationError

from bridge.core.hook import Hook

TARGET = {"type": "webhook", "url": "https://example.net/in"}


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"retry": {"schedule": ["367d"]}}, ("retry", "schedule", 0)),
        ({"retry": {"schedule": ["5s", -1]}}, ("retry", "schedule", 1)),
        ({"target": {**TARGET, "final": [404, 99999]}}, ("target", "webhook", "final", 1)),
        ({"target": {**TARGET, "success": [0]}}, ("target", "webhook", "success", 0)),
    ],
)
def test_waits_and_codes_that_cannot_be_are_refused_by_their_path(changed, path):
    with pytest.raises(ValidationError) as refused:
        Hook.model_validate({"name": "crm", "target": TARGET, **changed})

    assert [error["loc"] for error in refused.value.errors()] == [path]


def test_a_year_between_two_attempts_is_taken():
    hook = Hook.model_validate({"name": "crm", "target": TARGET, "retry": {"schedule": ["366d"]}})

    assert hook.retry.schedule == [366 * 86_400]
