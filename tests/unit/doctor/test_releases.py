"""What releases of RabbitMQ grant."""

import pytest

from bridge.doctor.policies import RELEASES, granted


@pytest.mark.parametrize(
    ("version", "mebibytes", "limit", "retries", "maintained"),
    [
        ("3.9.29", 128, None, False, False),
        ("3.10.8", 128, None, True, False),
        ("3.13.7", 128, None, True, True),
        ("4.0.5", 16, 20, True, True),
        ("4.3.6", 16, 20, True, True),
        ("5.0.0-rc.1", 16, 20, True, True),
        ("unknown", 128, None, False, False),
    ],
)
def test_a_release_grants_what_the_newest_one_before_it_does(
    version: str, mebibytes: int, limit: int | None, retries: bool, maintained: bool
):
    found = granted(version)
    assert (found.body, found.delivery_limit) == (mebibytes * 1024**2, limit)
    assert (found.retries, found.maintained) == (retries, maintained)


def test_the_table_is_read_from_the_newest_release_to_the_oldest():
    since = [each.since for each in RELEASES]
    assert since == sorted(since, reverse=True)
