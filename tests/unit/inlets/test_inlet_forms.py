"""Forms that senders post: verified and kept as they came, and data for whoever consumes them."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace

import aiohttp
import pytest

from bridge.core.event import Event
from bridge.core.ports import Outgoing
from tests.support.inlet_server import Kept, serving
from tests.support.publishers import event

SECRET = "It's a Secret to Everybody"
GITHUB = {
    "name": "github",
    "verify": [{"type": "github", "secret": SECRET}],
    "event_type_header": "X-GitHub-Event",
}
PUSH = {"ref": "refs/heads/main", "repository": {"full_name": "octo/hello & co"}}


def as_event(sent: Outgoing) -> Event:
    """What a source makes of the message that an inlet published."""
    headers = dict(sent.headers)
    return event(replace(sent.like, body=sent.body, routing_key=sent.routing_key, headers=headers))


async def posted(inlet, body, headers=None) -> Event:
    async with serving([inlet], kept := Kept()) as served:
        answer = await served.sender.send(f"/in/{inlet['name']}", headers, body)
        assert answer.status == 200, answer.text
    [message] = kept.messages
    return as_event(message)


def multipart(*fields) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)
    for name, value, *more in fields:
        form.add_field(name, value, **(more[0] if more else {}))
    return form


async def test_githubs_form_is_verified_as_it_came_and_is_read_as_what_its_payload_says():
    body = aiohttp.FormData({"payload": json.dumps(PUSH)})().decode().encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-Hub-Signature-256": f"sha256={signature}",
        "X-GitHub-Event": "push",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    found = await posted(GITHUB, body, headers)
    assert (found.type, found.data) == ("push", PUSH)
    assert found.message.body == body


OPEN = {"name": "open", "open": True}
JPEG = bytes(range(256)) * 4


async def test_plexs_payload_is_the_data_and_its_picture_a_file_beside_it():
    payload = {"event": "media.play", "Metadata": {"title": "Über ☃"}}
    form = multipart(
        ("payload", json.dumps(payload)),
        ("thumb", JPEG, {"filename": "thumb.jpg", "content_type": "image/jpeg"}),
    )
    found = await posted(OPEN, form, {"Content-Type": form().content_type})
    assert found.data == payload | {
        "thumb": {
            "filename": "thumb.jpg",
            "content_type": "image/jpeg",
            "size": len(JPEG),
            "base64": base64.b64encode(JPEG).decode(),
        }
    }


async def test_mailguns_fields_are_data_and_so_are_attachments_up_to_a_bound():
    large = b"x" * 900_000
    form = multipart(
        ("sender", "ana@example.net"),
        ("subject", "Žádost"),
        ("attachment-1", large, {"filename": "a.bin", "content_type": "application/pdf"}),
        ("attachment-2", large, {"filename": "b č.bin"}),
        ("attachment-3", b"small", {"filename": "c.txt"}),
    )
    found = await posted(OPEN | {"body": "4MB"}, form, {"Content-Type": form().content_type})
    assert (found.data["sender"], found.data["subject"]) == ("ana@example.net", "Žádost")
    assert base64.b64decode(found.data["attachment-1"]["base64"]) == large
    assert found.data["attachment-2"] == {
        "filename": "b č.bin", "content_type": "application/octet-stream", "size": 900_000, "base64": None,
    }  # fmt: skip
    assert base64.b64decode(found.data["attachment-3"]["base64"]) == b"small"


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        (
            "application/x-www-form-urlencoded",
            b"token=t&team_id=T1&command=%2Fweather&text=94070+now&response_url=https%3A%2F%2Fa",
            {
                "token": "t",
                "team_id": "T1",
                "command": "/weather",
                "text": "94070 now",
                "response_url": "https://a",
            },
        ),
        ("application/x-www-form-urlencoded", b'{"labelled":"by curl"}', {"labelled": "by curl"}),
        ("application/x-www-form-urlencoded; charset=UTF-8", b"payload=%5B1%5D", [1]),
        ("application/x-www-form-urlencoded", b"payload=no+JSON", {"payload": "no JSON"}),
        ("application/x-www-form-urlencoded", b"payload=%7B%7D&token=t", {"payload": "{}", "token": "t"}),
        ("multipart/form-data", b"a=1", None),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\ncut off",
            None,
        ),
        ("multipart/form-data; boundary=" + "x" * 71, b"", None),
        ("text/plain", b"a=1", None),
    ],
)
async def test_what_is_labelled_as_a_form_is_data_and_stays_the_bytes_that_it_was(content_type, body, data):
    found = await posted(OPEN, body, {"Content-Type": content_type})
    assert (found.data, found.message.body) == (data, body)
