"""Fixtures that all tests share."""

pytest_plugins = [
    "tests.support.broker",
    "tests.support.postgres",
    "tests.support.reader",
    "tests.support.scene",
]
