"""Headers tell what the sender told, where an event came as a webhook of the same system."""

import json
from typing import Any

import pytest

from bridge.core.event import Event, Message
from bridge.signing.profiles import told_by


def event(body: Any = None, fmt: str = "json", **headers: Any) -> Event:
    message = Message(json.dumps(body).encode(), headers=headers)
    return Event("e", "s", "github.push", fmt, 1.0, message, data=body, parsed=body, webhook_id="w-1")


def test_a_webhook_of_github_keeps_its_event_and_its_delivery():
    came = event({}, **{"X-GitHub-Event": "push", "x-github-delivery": "72d3162e"})
    assert told_by("github")(came) == ("72d3162e", "push")
    assert told_by("github")(event({}, **{"x-github-event": "pull_request"})) == ("w-1", "pull_request")


@pytest.mark.parametrize("headers", [{}, {"X-GitHub-Event": ""}, {"X-GitHub-Event": 7.5}])
def test_any_other_event_goes_by_its_own_type(headers):
    assert told_by("github")(event({}, **headers)) == ("w-1", "github.push")


def test_an_event_of_plinqx_says_in_its_header_what_its_body_says():
    body = {"event": "tool.called", "timestamp": "2025-05-05T07:08:09Z", "data": {}}
    assert told_by("plinqx")(event(body, "plinqx")) == ("w-1", "tool.called")
    assert told_by("plinqx")(event(body)) == ("w-1", "github.push")
    assert told_by("plinqx")(event([], "plinqx")) == ("w-1", "github.push")


@pytest.mark.parametrize("profile", ["standard", "generic", "splynx", "none"])
def test_other_profiles_go_by_the_event(profile):
    assert told_by(profile)(event({}, **{"X-GitHub-Event": "push"})) == ("w-1", "github.push")
