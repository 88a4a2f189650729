"""Webhooks in Phlix's words."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.hook import Hook
from bridge.phlix.service import is_webhook, moment, slug, webhook_id


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My Discord alerts", "my-discord-alerts"),
        ("Ünïcode & Café!", "unicode-cafe"),
        ("日本", "webhook"),
        ("--", "webhook"),
        ("x" * 1000, "x" * 60),
    ],
)
def test_the_name_of_a_hook_is_made_of_that_of_its_webhook(name, expected):
    assert slug(name) == expected


@given(st.text())
def test_whatever_a_webhook_is_called_its_hook_has_a_valid_name(name):
    assert re.fullmatch(r"[a-z0-9-]{1,60}", slug(name))


def test_an_id_is_a_uuid_that_never_changes():
    assert webhook_id("hk_abcdefghijklmnop") == "a12cd79e-054a-575c-90ce-c5d583d48553"
    assert webhook_id("a") != webhook_id("b")


def test_moments_are_written_as_mysql_does():
    assert moment(1748800800.9) == "2025-06-01 18:00:00"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"type": "webhook", "url": "http://a.example/", "profile": "phlix", "secrets": ["s"]}, True),
        ({"type": "webhook", "url": "http://a.example/", "profile": "none"}, False),
        ({"type": "queue", "queue": "out"}, False),
    ],
)
def test_hooks_with_its_profile_are_webhooks(target, expected):
    assert is_webhook(Hook.model_validate({"name": "crm", "target": target})) is expected
