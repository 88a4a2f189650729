"""Messages in quarantine over HTTP: their bytes, back into their queues, dropped."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiormq.abc import DeliveredMessage

from bridge.amqp.connection import Link
from bridge.core.delivery import Quarantined
from bridge.core.event import Message
from bridge.history.history import SqlHistory
from tests.support.api_server import TOKEN, ServedApi, serving_api
from tests.support.hook_bodies import hook
from tests.support.inlet_server import prompt
from tests.support.queues import Queues
from tests.support.records import NOW, in_quarantine, new_id

WHOLE = Message(
    b"\xff\0not JSON",
    exchange="amq.topic",
    routing_key="customers",
    headers={"x-bytes": b"\xff\xfe", "n": 5, "list": ["a", True, None], "table": {"deep": 1.5}},
    content_type="application/json",
    content_encoding="utf-8",
    correlation_id="c-1",
    message_id="m-1",
    app_id="shop",
    type="customers.create",
    timestamp=datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC),
)


@pytest.fixture
async def served(history: SqlHistory, link: Link, queue: str) -> AsyncIterator[ServedApi]:
    sources = [{"name": "splynx", "queue": queue}]
    async with prompt(link) as publisher, serving_api(history, (), sources, publisher=publisher) as api:
        yield api


async def kept(history: SqlHistory, count: int = 1, **fields: Any) -> list[Quarantined]:
    entries = [in_quarantine(NOW + number, **fields) for number in range(count)]
    await history.commit(entries)
    return entries


async def left(api: ServedApi) -> list[str]:
    """Ids of all that is in quarantine."""
    return [each["id"] for each in (await api.client.get("/quarantine?limit=200"))["items"]]


def told(message: DeliveredMessage) -> tuple[object, ...]:
    found = message.header.properties
    return (
        message.body, found.content_type, found.content_encoding, found.correlation_id, found.message_id,
        found.app_id, found.message_type, found.timestamp, found.delivery_mode,
    )  # fmt: skip


async def test_a_message_goes_back_as_it_came(
    history: SqlHistory, served: ServedApi, queue: str, queues: Queues
) -> None:
    [entry] = await kept(history, message=WHOLE)
    answer = await served.client.send("POST", f"/quarantine/{entry.id}/requeue")
    assert answer.status == 202
    assert answer.body == {
        "id": entry.id, "source": "splynx", "queue": queue, "dry_run": False, "event_types": None, "fault": None,
    }  # fmt: skip
    [message] = await queues.take_all(queue)
    assert told(message) == (
        WHOLE.body, "application/json", "utf-8", "c-1", "m-1", "shop", "customers.create", WHOLE.timestamp, 2,
    )  # fmt: skip
    headers = dict(message.header.properties.headers or {})
    assert headers == {"x-bytes": b"\xff\xfe", "n": 5, "list": ["a", True, None], "table": {"deep": 1.5}}
    assert await left(served) == []
    again = await served.client.send("POST", f"/quarantine/{entry.id}/requeue")
    assert again.status == 404


async def test_where_publishers_may_send_twice_it_goes_back_as_no_duplicate(
    history: SqlHistory, link: Link, queue: str, queues: Queues
) -> None:
    sources = [{"name": "splynx", "queue": queue, "dedupe": {}}]
    [entry] = await kept(history, message=WHOLE)
    async with prompt(link) as publisher, serving_api(history, (), sources, publisher=publisher) as api:
        assert (await api.client.send("POST", f"/quarantine/{entry.id}/requeue")).status == 202
    [message] = await queues.take_all(queue)
    assert dict(message.header.properties.headers or {}) == {**WHOLE.headers, "x-bridge-requeued": True}


async def test_one_without_an_id_gets_that_of_its_row(
    history: SqlHistory, served: ServedApi, queue: str, queues: Queues
) -> None:
    [entry] = await kept(history)
    assert (await served.client.send("POST", f"/quarantine/{entry.id}/requeue")).status == 202
    [message] = await queues.take_all(queue)
    assert message.header.properties.message_id == entry.id


@pytest.mark.parametrize(
    ("source", "reason", "word"),
    [
        ("gone", "undecodable", "gone"),
        ("lanes", "undecodable", "its delivery"),
        ("lanes", "forged", "forged"),
        ("bridge", "forged", "forged"),
    ],
)
async def test_what_has_no_way_back_stays(
    history: SqlHistory, served: ServedApi, source: str, reason: str, word: str
) -> None:
    [entry] = await kept(history, source=source, reason=reason)
    answer = await served.client.send("POST", f"/quarantine/{entry.id}/requeue")
    assert answer.status == 409
    assert word in answer.body["detail"]
    assert await left(served) == [entry.id]


async def test_without_a_broker_it_stays_and_is_asked_for_again(history: SqlHistory) -> None:
    [entry] = await kept(history)
    async with serving_api(history) as api:
        answer = await api.client.send("POST", f"/quarantine/{entry.id}/requeue")
        assert answer.status == 503
        assert answer.headers["Retry-After"]
        assert await left(api) == [entry.id]


async def test_all_that_fit_go_back_the_oldest_first(
    history: SqlHistory, served: ServedApi, queue: str, queues: Queues
) -> None:
    wanted = [
        in_quarantine(NOW + number, reason="undecodable", message=Message(b"%d" % number))
        for number in range(150)
    ]
    others = [in_quarantine(NOW, reason="too_large"), in_quarantine(NOW + 200, source="lanes")]
    await history.commit([*wanted, *others])
    answer = await served.client.send("POST", "/quarantine/requeue", {"reason": "undecodable"})
    assert answer.status == 200
    assert (answer.body["requeued"], answer.body["kept"], answer.body["more"]) == (150, 1, False)
    assert "lane" in answer.body["error"]
    assert [message.body for message in await queues.take_all(queue)] == [b"%d" % n for n in range(150)]
    assert set(await left(served)) == {each.id for each in others}


@pytest.mark.parametrize("message", [WHOLE, Message(bytes(range(256)) * 20_000)], ids=["small", "large"])
async def test_the_bytes_alone(history: SqlHistory, served: ServedApi, message: Message) -> None:
    [entry] = await kept(history, message=message)
    url, headers = f"{served.client.url}/api/v1/quarantine", {"Authorization": f"Bearer {TOKEN}"}
    async with served.client.session.get(f"{url}/{entry.id}/body", headers=headers) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/octet-stream")
        assert answer.content_length == len(message.body)
        assert await answer.read() == message.body
    await served.client.refused(f"/quarantine/{new_id()}/body", 404)


async def test_dropped_messages_are_gone(history: SqlHistory, served: ServedApi) -> None:
    first, second = await kept(history, 2)
    answer = await served.client.send("DELETE", f"/quarantine/{first.id}")
    assert (answer.status, answer.body) == (204, None)
    assert await left(served) == [second.id]
    assert (await served.client.send("DELETE", f"/quarantine/{first.id}")).status == 404


async def test_many_are_dropped_only_where_it_is_said_which(history: SqlHistory, served: ServedApi) -> None:
    await history.commit([in_quarantine(NOW + n, source=("splynx", "phlix")[n % 2]) for n in range(6)])
    refused = await served.client.send("DELETE", "/quarantine")
    assert (refused.status, refused.names) == (400, ["all"])
    assert len(await left(served)) == 6
    answer = await served.client.send("DELETE", "/quarantine?source=phlix")
    assert answer.body == {"dropped": 3, "more": False}
    answer = await served.client.send("DELETE", "/quarantine?all=true")
    assert answer.body == {"dropped": 3, "more": False}
    assert await left(served) == []


async def test_is_listed_by_reason_and_span(history: SqlHistory, served: ServedApi) -> None:
    first, second = in_quarantine(NOW, reason="too_large"), in_quarantine(NOW + 60)
    await history.commit([first, second])
    for query, expected in (
        ("reason=too_large", [first.id]),
        ("reason=undecodable&source=splynx", [second.id]),
        ("to=2025-05-05T07:08:30Z", [first.id]),
        ("from=2025-05-05T07:08:30Z", [second.id]),
    ):
        assert [each["id"] for each in (await served.client.get(f"/quarantine?{query}"))["items"]] == expected


CORRECTED = {
    "body": '{"corrected": true}',
    "type": "customers.update",
    "content_type": "application/json; charset=utf-8",
    "headers": {"x-bytes": None, "n": 6, "new": "one"},
}


async def test_a_message_goes_back_corrected(
    history: SqlHistory, served: ServedApi, queue: str, queues: Queues
) -> None:
    [entry] = await kept(history, message=WHOLE)
    answer = await served.client.send("POST", f"/quarantine/{entry.id}/requeue", CORRECTED)
    assert answer.status == 202
    [message] = await queues.take_all(queue)
    found = message.header.properties
    assert message.body == b'{"corrected": true}'
    assert (found.message_type, found.content_type) == ("customers.update", "application/json; charset=utf-8")
    assert found.content_encoding is None
    assert (found.message_id, found.app_id) == ("m-1", "shop")
    assert dict(found.headers or {}) == {
        "n": 6,
        "new": "one",
        "list": ["a", True, None],
        "table": {"deep": 1.5},
    }
    assert await left(served) == []


@pytest.mark.parametrize(
    ("given", "body"),
    [({"data": {"a": 1}}, b'{"a":1}'), ({"body_base64": "//4="}, b"\xff\xfe"), ({"body": ""}, b"")],
)
async def test_the_corrected_body_may_be_json_bytes_or_nothing(
    history: SqlHistory, served: ServedApi, queue: str, queues: Queues, *, given: Any, body: bytes
) -> None:
    [entry] = await kept(history, message=WHOLE)
    assert (await served.client.send("POST", f"/quarantine/{entry.id}/requeue", given)).status == 202
    assert [message.body for message in await queues.take_all(queue)] == [body]


async def test_a_dry_run_tells_what_would_become_of_it_and_changes_nothing(
    history: SqlHistory, served: ServedApi, queue: str, queues: Queues
) -> None:
    [entry] = await kept(history, message=WHOLE)
    answer = await served.client.send(
        "POST", f"/quarantine/{entry.id}/requeue", {**CORRECTED, "dry_run": True}
    )
    assert (answer.status, answer.body["dry_run"]) == (200, True)
    assert (answer.body["event_types"], answer.body["fault"]) == (["customers.update"], None)
    huge = {"headers": {"big": "x" * 100_000}, "dry_run": True}
    answer = await served.client.send("POST", f"/quarantine/{entry.id}/requeue", huge)
    assert answer.body["event_types"] == []
    assert answer.body["fault"].startswith("headers_too_large: ")
    assert await left(served) == [entry.id]
    assert await queues.take_all(queue) == []


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"bdy": "x"}, ["bdy"]),
        ({"body": "x", "data": 1}, ["body"]),
        ({"body": None}, ["body"]),
        ({"body_base64": "?"}, ["body_base64"]),
        ({"headers": {"x-bridge-hops": 1}}, ["headers.x-bridge-hops"]),
        ({"headers": {"x-death": None}}, ["headers.x-death"]),
        ({"dry_run": "yes"}, ["dry_run"]),
    ],
)
async def test_what_no_correction_is_is_refused_and_the_message_stays(
    history: SqlHistory, served: ServedApi, wrong: Any, names: list[str]
) -> None:
    [entry] = await kept(history)
    answer = await served.client.send("POST", f"/quarantine/{entry.id}/requeue", wrong)
    assert (answer.status, answer.names) == (422, names)
    assert await left(served) == [entry.id]


async def test_a_key_that_an_operation_does_not_know_is_refused_by_every_one_that_changes_something(
    history: SqlHistory, served: ServedApi
) -> None:
    """What is passed over looks as if it had been done."""
    changing = [each for each in served.client.operations if each.method != "GET"]
    assert len(changing) > 15
    hook_id = (await served.client.send("POST", "/hooks", hook())).body["id"]
    for operation in changing:
        path = re.sub(r"\{[^}]*\}", hook_id, operation.path.removeprefix("/v1"))
        answer = await served.client.send(operation.method, path, {"no_such_key": 1})
        if operation.name == "explain.message":  # it takes any message, and tells what it made nothing of
            assert "no_such_key" in str(answer.body["notes"])
            continue
        assert (operation.name, answer.status) == (operation.name, 422)
        assert "no_such_key" in answer.names, operation.name
    for name in ("drop", "requeue"):
        [operation] = [each for each in changing if each.name == f"quarantine.{name}"]
        path = operation.path.removeprefix("/v1").replace("{id}", new_id())
        assert (await served.client.send(operation.method, path, {})).status == 404
