"""What the bridge tells of itself."""

import json

import pytest

from bridge.core.hook import Hook
from bridge.meta.words import (
    FailureRecord,
    MetaType,
    breaker_closed,
    breaker_opened,
    failing,
    page_of,
    quarantine_growing,
    recovered,
    state_changed,
)
from bridge.settings.tree import Http

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CRM = Hook.model_validate(
    {
        "name": "crm",
        "target": {
            "type": "webhook",
            "url": f"https://user:{SECRET}@crm.example.net/in?token={SECRET}",
            "secrets": [SECRET],
            "headers": {"Authorization": SECRET},
        },
    }
)
STANDING = FailureRecord("crm", 100.0, 200.0, 50.0, 7, 70, 100.0)


def test_a_warning_says_since_when_how_often_and_when_the_hook_will_be_paused():
    told = failing(CRM, STANDING, 70, 100.0, 1000.0)
    assert told == {
        "hook": "crm",
        "name": "crm",
        "target": "webhook",
        "message": "Hook crm has only failed since 1970-01-01T00:01:40Z, for 70 % of the time after which it is paused.",
        "reason": "",
        "type": "hook.failing",
        "since": "1970-01-01T00:01:40Z",
        "consecutive_failures": 7,
        "threshold_percent": 70,
        "pauses_at": "1970-01-01T00:18:20Z",
        "last_success_at": "1970-01-01T00:00:50Z",
    }


def test_a_change_says_who_made_it_and_why():
    told = state_changed(CRM, MetaType.PAUSED, "bridge", 0.0, "gone")
    assert (told["message"], told["by"], told["reason"]) == (
        "Hook crm was paused by bridge: gone",
        "bridge",
        "gone",
    )


def test_a_source_is_told_with_how_many_messages():
    told = quarantine_growing("splynx", 3, 0.0)
    assert (told["source"], told["messages"], told["since"]) == ("splynx", 3, "1970-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "told",
    [
        failing(CRM, STANDING, 50, 100.0, 1000.0),
        recovered(CRM, STANDING),
        state_changed(CRM, MetaType.DISABLED, "alice", 0.0),
        breaker_opened(CRM, "refused", 1.0, 100.0),
        breaker_closed(CRM, 12.3456, 100.0),
    ],
    ids=lambda told: told["type"],
)
def test_every_word_about_a_hook_names_it_and_holds_no_secret(told):
    assert {"hook", "name", "target", "message", "reason", "type", "since"} <= told.keys()
    assert SECRET not in json.dumps(told)


def test_facts_lead_to_the_page_about_their_hook_or_source_where_its_address_is_known():
    told = state_changed(CRM, MetaType.PAUSED, "bridge", 0.0)
    assert (
        page_of(told, "https://bridge.example.net/amqp/ui") == "https://bridge.example.net/amqp/ui/hooks/crm"
    )
    growing = quarantine_growing("a b", 3, 0.0)
    assert page_of(growing, "https://x.example.net/ui") == "https://x.example.net/ui/quarantine?source=a+b"
    assert page_of(told, "") == ""


@pytest.mark.parametrize(
    ("given", "pages"),
    [
        ({"public_url": "https://x.example.net/amqp/"}, "https://x.example.net/amqp/ui"),
        ({"public_url": "https://x.example.net", "ui": False}, ""),
        ({}, ""),
    ],
)
def test_pages_are_known_where_the_ui_is_served_at_a_public_address(given: dict[str, object], pages: str):
    assert Http.model_validate(given).pages == pages
