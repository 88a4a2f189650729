"""The inlets of docs/inlets.md take what the systems send, signed here by each system's own rules."""

import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.checks.configuration import check
from bridge.settings.loading import load
from tests.support.inlet_server import Kept, serving

DOCUMENT = (Path(__file__).parents[3] / "docs/inlets.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
SECRET = "whsec_" + base64.b64encode(b"secret of twenty-four by").decode()
TOKEN = "a-plain-token-of-gitlab"
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))
BODY = b'{"event_type":"playback.ended","a":"\\u00e9 \\/"}'


def mac(content: bytes, algorithm: str = "sha256", key: bytes = SECRET.encode()) -> Any:
    return hmac.new(key, content, algorithm)


def now() -> str:
    return str(int(time.time()))


def timed(stamp: str) -> str:
    return f"t={stamp},v1={mac(stamp.encode() + b'.' + BODY).hexdigest()}"


def basic() -> str:
    return "Basic " + base64.b64encode(f"cockpit:{SECRET}".encode()).decode()


def requests() -> dict[str, tuple[str, dict[str, str], str | None]]:
    """By inlet the path below it, the headers, and the event type that is found; signed now: signatures grow stale."""
    stamp = now()
    standard = base64.b64encode(mac(f"msg_1.{stamp}.".encode() + BODY, key=KEY).digest()).decode()
    shop = base64.b64encode(mac(stamp.encode() + b":" + BODY, "sha512").digest()).decode()
    plinqx = mac(stamp.encode() + BODY).hexdigest()
    github = "sha256=" + mac(BODY).hexdigest()
    standard_headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{standard}",
    }
    return {
        "splynx": ("", {"X-Splynx-Signature": mac(BODY, "sha1").hexdigest()}, None),
        "phlix": ("", {"X-Phlix-Signature-V2": timed(stamp), "X-Phlix-Signature": "sha256=00"}, None),
        "plinqx": ("", {"X-Plinqx-Timestamp": stamp, "X-Plinqx-Signature": plinqx}, None),
        "cockpit": ("", {"Authorization": basic()}, None),
        "cockpit2": ("/content/item/save", {"X-Cockpit-Key": SECRET}, "cockpit.content.item.save"),
        "github": ("", {"X-Hub-Signature-256": github, "X-GitHub-Event": "push"}, "github.push"),
        "gitlab": ("", {"X-Gitlab-Token": TOKEN, "X-Gitlab-Event": "Push Hook"}, "Push Hook"),
        "stripe": ("", {"Stripe-Signature": timed(stamp)}, None),
        "standard": ("", standard_headers, None),
        "home-grown": ("", {"X-Shop-Sign": shop, "X-Shop-Time": stamp}, None),
    }


def of_the_document() -> list[dict[str, Any]]:
    filled = re.sub(r"\$\{\w+\}", SECRET, EXAMPLES[-1].replace("${GITLAB}", TOKEN))
    inlets = yaml.safe_load(filled)["inlets"]
    return [inlet | {"source": "main"} for inlet in inlets]


def test_the_examples_of_the_document_pass_the_check(tmp_path: Path):
    for number, example in enumerate(EXAMPLES):
        file = tmp_path / f"{number}.yaml"
        file.write_text(example)
        names = re.findall(r"\$\{(\w+)\}", example)
        settings = load(file, dict.fromkeys(names, SECRET))
        assert check(settings, tmp_path) == []
        assert settings.inlets
    assert [inlet["name"] for inlet in of_the_document()] == list(requests())


async def test_the_type_of_a_stripe_event_stands_in_its_body():
    body = b'{"id": "evt_1", "object": "event", "type": "invoice.paid"}'
    stamp = now()
    signature = f"t={stamp},v1=" + mac(f"{stamp}.".encode() + body).hexdigest()
    async with serving(of_the_document(), kept := Kept()) as served:
        assert (await served.sender.send("/in/stripe", {"Stripe-Signature": signature}, body)).status == 200
    assert kept.messages[-1].like.type == "invoice.paid"


async def test_each_system_is_let_in_with_its_own_signature_alone():
    signed = requests()
    async with serving(of_the_document(), kept := Kept()) as served:
        for name, (below, headers, kind) in signed.items():
            path = f"/in/{name}{below}"
            assert (await served.sender.send(path, headers, BODY)).status == 200, name
            assert kept.messages[-1].like.type == kind
            on_the_way = repr((kept.messages[-1].headers, kept.messages[-1].like))
            assert SECRET not in on_the_way
            assert TOKEN not in on_the_way
            others = {
                key: text
                for each in signed.values()
                if each[1] is not headers
                for key, text in each[1].items()
            }
            rest = {key: text for key, text in others.items() if key not in headers}
            assert (await served.sender.send(path, rest, BODY)).status == 403, name
    assert len(kept.messages) == len(signed)


@pytest.mark.parametrize("name", ["splynx", "phlix", "plinqx", "github", "stripe", "standard", "home-grown"])
async def test_a_tampered_body_is_refused(name: str):
    async with serving(of_the_document(), kept := Kept()) as served:
        answer = await served.sender.send(f"/in/{name}", requests()[name][1], BODY.replace(b"a", b"b", 1))
        assert answer.status == 403
    assert kept.messages == []


@pytest.mark.parametrize("name", ["phlix", "stripe"])
async def test_a_stale_timestamp_is_refused(name: str):
    stale = str(int(time.time()) - 302)
    async with serving(of_the_document(), kept := Kept()) as served:
        for header in ("X-Phlix-Signature-V2", "Stripe-Signature"):
            assert (await served.sender.send(f"/in/{name}", {header: timed(stale)}, BODY)).status == 403
    assert kept.messages == []


async def test_the_older_signature_of_phlix_is_taken_where_the_newer_is_not_sent():
    signature = "sha256=" + hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    async with serving(of_the_document(), kept := Kept()) as served:
        assert (await served.sender.send("/in/phlix", {"X-Phlix-Signature": signature}, BODY)).status == 200
    (message,) = kept.messages
    assert json.loads(message.body)["event_type"] == "playback.ended"


async def test_cockpit_may_send_nothing_at_all():
    async with serving(of_the_document(), kept := Kept()) as served:
        answer = await served.sender.send("/in/cockpit", {"Authorization": basic()}, b"")
        assert (answer.status, answer.text) == (200, "ok")
    assert kept.messages[0].body == b""


async def test_a_path_that_nobody_can_guess_is_a_secret():
    hidden = {"name": "hidden", "path": "/in-7f3a9c/*", "open": True, "event_type_path": True}
    async with serving([hidden], kept := Kept()) as served:
        assert (await served.sender.send("/in/hidden")).status == 404
        assert (await served.sender.send("/in-7f3a9c/a/b")).status == 200
    assert "7f3a9c" not in repr(kept.messages)
