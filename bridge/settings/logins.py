"""Logins that change while the bridge runs: only they are taken from settings that are read anew."""

from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlsplit

from bridge.core.hook import Hook
from bridge.core.target import WebhookTarget
from bridge.settings.databases import renewed_login
from bridge.settings.transport import SecretUrl
from bridge.settings.tree import Broker, OtherBroker, Settings

B = TypeVar("B", Broker, OtherBroker)

LOGINS = frozenset({"broker", "brokers", "storage"})
"""The sections that have them."""


def renewed(settings: Settings, anew: Settings) -> Settings:
    """`settings` with the logins to brokers and database of `anew`, where they lead to the same places as before."""
    brokers = {
        name: _of_broker(known, anew.brokers[name]) if name in anew.brokers else known
        for name, known in settings.brokers.items()
    }
    url = renewed_login(settings.storage.url.get_secret_value(), anew.storage.url.get_secret_value())
    return settings.model_copy(
        update={
            "broker": _of_broker(settings.broker, anew.broker),
            "brokers": brokers,
            "storage": settings.storage.model_copy(update={"url": SecretUrl(url)}),
        }
    )


def _of_broker(known: B, anew: B) -> B:
    changes: dict[str, object] = {}
    if [_place(url) for url in known.url] == [_place(url) for url in anew.url]:
        changes["url"] = anew.url
    if known.oauth2 and anew.oauth2 and known.oauth2.token_url == anew.oauth2.token_url:
        login = {"client_id": anew.oauth2.client_id, "client_secret": anew.oauth2.client_secret}
        changes["oauth2"] = known.oauth2.model_copy(update=login)
    return known.model_copy(update=changes)


def _place(url: SecretUrl) -> tuple[str, str, str, str]:
    parts = urlsplit(url.get_secret_value())
    return parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query


def renewed_proxies(hooks: Sequence[Hook], anew: Sequence[Hook]) -> list[Hook]:
    """`hooks` with the logins to their proxies of `anew`, where these are the same proxies."""
    proxies = {hook.id: hook.target.proxy for hook in anew if isinstance(hook.target, WebhookTarget)}
    return [_of_proxy(hook, proxies.get(hook.id)) for hook in hooks]


def _of_proxy(hook: Hook, proxy: str | None) -> Hook:
    target = hook.target
    if not isinstance(target, WebhookTarget) or not proxy or not target.proxy or proxy == target.proxy:
        return hook
    if _place(SecretUrl(proxy)) != _place(SecretUrl(target.proxy)):
        return hook
    return hook.model_copy(update={"target": target.model_copy(update={"proxy": proxy})})
