"""Of settings that are read anew only the logins are taken, and only those to the same places."""

from typing import Any

import pytest

from bridge.core.hook import Hook
from bridge.settings.loading import renewed, renewed_proxies
from bridge.settings.tree import Settings


def settings(broker: Any, far: Any = "amqp://u:p@far/v", storage: str = "postgresql://u:p@h/d") -> Settings:
    return Settings.model_validate(
        {"broker": broker, "brokers": {"far": {"url": far}}, "storage": {"url": storage}}
    )


BEFORE = settings({"url": ["amqp://u:old@one/v", "amqps://u:old@two:5671/v"], "prefix": "ours"})


def test_the_logins_of_all_brokers_and_of_the_database_are_taken_and_nothing_else():
    anew = settings(
        {"url": ["amqp://u:new@one/v", "amqps://other:new@two:5671/v"], "prefix": "another"},
        "amqp://u:new@far/v",
        "postgresql://u:new@h/d",
    )

    found = renewed(BEFORE, anew)

    assert found.broker.url == anew.broker.url
    assert found.brokers == anew.brokers
    assert found.storage == anew.storage
    assert found.broker.prefix == "ours"


@pytest.mark.parametrize(
    "broker",
    [
        {"url": ["amqp://u:new@one/v"]},
        {"url": ["amqp://u:new@one/other", "amqps://u:new@two:5671/v"]},
        {"url": ["amqp://u:new@three/v", "amqps://u:new@two:5671/v"]},
        {"url": ["amqps://u:new@one/v", "amqps://u:new@two:5671/v"]},
    ],
)
def test_a_login_to_another_place_waits_for_a_restart(broker: Any):
    assert renewed(BEFORE, settings(broker)).broker == BEFORE.broker


def test_a_clients_secret_is_taken_where_its_tokens_come_from_the_same_place():
    def of(secret: str, token_url: str = "https://id.example.net/token") -> Settings:
        oauth2 = {"token_url": token_url, "client_id": "bridge", "client_secret": secret}
        return settings({"url": "amqp://h/", "auth": "oauth2", "oauth2": oauth2})

    assert renewed(of("old"), of("new")).broker == of("new").broker
    assert renewed(of("old"), of("new", "https://elsewhere.example.net/")).broker == of("old").broker


def hook(proxy: str | None, url: str = "https://crm.example.net/in") -> Hook:
    target = {"type": "webhook", "url": url, "profile": "none", "proxy": proxy}
    return Hook.model_validate({"name": "crm", "target": target})


@pytest.mark.parametrize(
    ("anew", "taken"),
    [
        (hook("http://u:new@proxy:3128"), True),
        (hook("http://u:new@proxy:3128", "https://elsewhere.example.net/"), True),
        (hook("http://u:new@other:3128"), False),
        (hook(None), False),
    ],
)
def test_of_hooks_only_the_login_to_the_same_proxy_is_taken(anew: Hook, taken: bool):
    before = hook("http://u:old@proxy:3128")
    expected = hook("http://u:new@proxy:3128") if taken else before

    assert renewed_proxies([before], [anew]) == [expected]
    assert renewed_proxies([before], []) == [before]
