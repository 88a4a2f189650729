import pytest

from bridge.amqp.errors import redacted


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("amqp://me:secret@host:5673/shop", "amqp://me:***@host:5673/shop"),
        ("amqp://me:se/cr#et@host/", "amqp://me:***@host/"),
        ("amqp://me@host/?heartbeat=9&password=secret", "amqp://me@host/?heartbeat=9&password=***"),
    ],
)
def test_a_brokers_address_is_told_without_a_password_wherever_it_stands(address: str, shown: str) -> None:
    assert redacted(address) == shown
