"""Who is slowed down for wrong tokens."""

import pytest

from bridge.http.auth import FailedAuthLimiter


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def guesses(told: list[str]) -> FailedAuthLimiter:
    return FailedAuthLimiter(told.append)


def test_the_tenth_within_a_minute_is_slowed_down_and_all_that_follow(guesses: FailedAuthLimiter):
    assert [guesses.wrong("192.0.2.1", n * 6.0) for n in range(12)] == [False] * 9 + [True] * 3


def test_a_slow_one_never_is(guesses: FailedAuthLimiter):
    assert not any(guesses.wrong("192.0.2.1", n * 6.7) for n in range(100))


def test_addresses_are_counted_apart(guesses: FailedAuthLimiter):
    for n in range(20):
        guesses.wrong("192.0.2.1", n / 10)
    assert not guesses.wrong("192.0.2.2", 3.0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "unix", False),
    ],
)
def test_a_network_of_ipv6_is_one_address(guesses: FailedAuthLimiter, one: str, other: str, same: bool):
    for _ in range(9):
        guesses.wrong(one, 0.0)
    assert guesses.wrong(other, 0.0) == same


def test_it_is_told_once_in_a_minute(guesses: FailedAuthLimiter, told: list[str]):
    for n in range(130):
        guesses.wrong("192.0.2.1", float(n))
    assert told == ["192.0.2.1"] * 3  # at 9, 69 and 129 s


def test_addresses_are_forgotten_when_there_are_too_many(guesses: FailedAuthLimiter):
    for n in range(12_000):
        guesses.wrong(f"10.0.{n // 250}.{n % 250}", 0.0)
    assert len(guesses) == 10_000
