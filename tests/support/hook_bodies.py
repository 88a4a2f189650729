"""Hooks as people send them, sound and broken."""

import json
from typing import Any

QUEUE = {"type": "queue", "queue": "copies"}
SECRET = "whsec_" + "c2VjcmV0LW9mLXRlc3RzLTEyMzQ1Njc4"
OTHER_SECRET = "whsec_" + "b3RoZXItc2VjcmV0LTEyMzQ1Njc4OTA"
WEBHOOK = {"type": "webhook", "url": "https://crm.example.net/in", "secrets": [SECRET]}


def hook(name: str = "crm", **changes: Any) -> dict[str, Any]:
    """A sound one."""
    return {"name": name, "events": ["customers.*"], "target": WEBHOOK} | changes


def webhook(**changes: Any) -> dict[str, Any]:
    """A sound one whose target has these changes."""
    return hook(target=WEBHOOK | changes)


NO_JSON: dict[str, bytes] = {
    "nothing": b"",
    "cut off": b'{"name": "crm", ',
    "no json at all": b"name: crm",
    "bad utf-8": b'{"name": "crm\xff"}',
    "a key twice": b'{"name": "a", "name": "b"}',
    "a key twice inside": b'{"name": "a", "target": {"type": "queue", "queue": "a", "queue": "b"}}',
    "NaN": b'{"name": "crm", "rate": NaN}',
    "Infinity": b'{"name": "crm", "rate": Infinity}',
    "beyond any number": b'{"name": "crm", "rate": 1e999}',
    "too many digits": b'{"name": "crm", "concurrency": ' + b"9" * 5000 + b"}",
    "too deep": b"[" * 2000,
}
"""Bodies that are no JSON, by what is wrong with them."""

UNFIT: dict[str, tuple[Any, str]] = {
    "a list": ([hook()], ""),
    "a text": ("crm", ""),
    "nothing in it but null": (None, ""),
    "no target": ({"name": "crm"}, "target"),
    "a target that is text": (hook(target="https://crm.example.net"), "target"),
    "no type of target": (hook(target={"url": "https://crm.example.net"}), "target.type"),
    "another type of target": (hook(target={"type": "webhok", "url": "https://x"}), "target.type"),
    "a variable for a secret": (webhook(secrets=["${CRM_SECRET}"]), "target.secrets[0]"),
    "a variable in a URL": (webhook(url="https://crm.example.net/${KEY}"), "target.url"),
    "a variable in a header": (webhook(headers={"X-Key": "key ${KEY}"}), "target.headers.X-Key"),
    "a variable for a token": (webhook(auth={"type": "bearer", "token": "${T}"}), "target.auth.token"),
    "a variable for a proxy": (webhook(proxy="http://u:${P}@proxy.example.net"), "target.proxy"),
    "a variable in an Apprise URL": (
        hook(target={"type": "notify", "urls": ["slack://${S}"]}),
        "target.urls[0]",
    ),
    "a URL to be escaped": (webhook(url="https://crm.example.net/a|b"), "target.url"),
    "an unknown key": (hook(evnts=["*"]), "evnts"),
    "an unknown key inside": (webhook(hedaers={}), "target.hedaers"),
    "an unknown key deep inside": (webhook(tls={"verfy": False}), "target.tls.verfy"),
    "a name with blanks": (hook("my hook"), "name"),
    "a name too long": (hook("a" * 65), "name"),
    "a name that is a number": (hook(7), "name"),  # type: ignore[arg-type]
    "a name that is a list": (hook([]), "name"),  # type: ignore[arg-type]
    "no name and a list for a type": ({"target": {"type": []}}, "target.type"),
    "events as text": (hook(events="customers.*"), "events"),
    "no events": (hook(events=[]), "events"),
    "an event that is a number": (hook(events=["a.*", 5]), "events[1]"),
    "a bad pattern": (hook(events=["a.*", "b..c"]), "events[1]"),
    "a bad filter": (hook(filter="event.data.n >"), "filter"),
    "a filter with an unknown name": (hook(filter="evnt.data.n > 1"), "filter"),
    "an unknown source": (hook(sources=["splynx", "splinx"]), "sources[1]"),
    "concurrency as text": (hook(concurrency="many"), "concurrency"),
    "concurrency as text of digits": (hook(concurrency="16"), "concurrency"),
    "no concurrency": (hook(concurrency=0), "concurrency"),
    "a huge concurrency": (hook(concurrency=10**30), "concurrency"),
    "enabled as text": (hook(enabled="yes"), "enabled"),
    "enabled as a number": (hook(enabled=1), "enabled"),
    "a rate that is none": (hook(rate="fast"), "rate"),
    "a rate of nothing": (hook(rate=0), "rate"),
    "a wait that is none": (hook(retry={"schedule": ["5s", "later"]}), "retry.schedule[1]"),
    "an unknown preset": (hook(retry={"preset": "phlixx"}), "retry.preset"),
    "preset and schedule": (hook(retry={"preset": "phlix", "schedule": ["5s"]}), "retry"),
    "no url": (hook(target={"type": "webhook"}), "target.url"),
    "another scheme": (webhook(url="ftp://crm.example.net/in"), "target.url"),
    "a url without host": (webhook(url="https:///in"), "target.url"),
    "a private address": (webhook(url="http://10.1.2.3/in"), "target.url"),
    "the cloud's metadata": (webhook(url="http://169.254.169.254/latest"), "target.url"),
    "a private proxy": (webhook(proxy="http://127.0.0.1:3128"), "target.proxy"),
    "a network that the setting does not open": (
        webhook(allow_private_targets=["10.0.0.0/8"]),
        "target.allow_private_targets[0]",
    ),
    "no network": (webhook(allow_private_targets=["10.0.0.1/8"]), "target.allow_private_targets[0]"),
    "an empty secret": (webhook(secrets=[""]), "target.secrets"),
    "a secret that is no base64": (webhook(secrets=["???"]), "target.secrets"),
    "a secret that is a number": (webhook(secrets=[12345]), "target.secrets[0]"),
    "eleven secrets": (webhook(secrets=[SECRET] * 11), "target.secrets"),
    "a secret that stands for nothing": (webhook(secrets=["***"]), "target.secrets[0]"),
    "a header with a line break": (webhook(headers={"X-A": "a\r\nX-B: b"}), "target.headers"),
    "a timeout that is too long": (webhook(timeout="20m"), "target.timeout"),
    "no token": (webhook(auth={"type": "bearer"}), "target.auth.token"),
    "a bad template": (webhook(body="template", template="{{ event. }}", secrets=[]), "target.template"),
    "half a surrogate pair": (hook(description="\ud83d"), "description"),
    "half a surrogate pair as a key": (webhook(headers={"X-\udc00": "a"}), "target.headers"),
    "an unknown broker": (hook(target=QUEUE | {"broker": "other"}), "target.broker"),
    "queue and exchange": (hook(target=QUEUE | {"exchange": "e"}), "target"),
    "no urls": (hook(target={"type": "notify", "urls": []}), "target.urls"),
    "a service that there is not": (
        hook(target={"type": "notify", "urls": ["nosuch://x"]}),
        "target.urls[0]",
    ),
    "a script": (hook(target={"type": "script", "command": ["/bin/true"]}), "target.type"),
}
"""Bodies that are JSON and no hook, by what is wrong with them, and where."""


def written(value: Any) -> bytes:
    """As JSON, half surrogate pairs escaped."""
    return json.dumps(value).encode()
