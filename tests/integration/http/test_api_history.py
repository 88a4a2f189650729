"""Deliveries, events and quarantine over HTTP, from a history in SQLite."""

import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from bridge.core.delivery import Record, Status, Unmatched
from bridge.core.event import Message
from bridge.history.history import SqlHistory
from tests.support.api_server import TOKEN, ServedApi, serving_api
from tests.support.records import (
    NOW,
    a_delivery,
    an_attempt,
    an_event,
    delivered,
    in_quarantine,
    new_id,
    waiting,
)

HOOK = {"name": "crm", "events": ["customers.*"], "target": {"type": "queue", "queue": "q"}}
OTHER = {"name": "other", "filter": "event.data.nope == 1", "target": {"type": "queue", "queue": "q"}}


@asynccontextmanager
async def serving(history: SqlHistory, *entries: Any) -> AsyncIterator[ServedApi]:
    assert await history.commit(entries) == []
    async with serving_api(history, [HOOK, OTHER]) as served:
        yield served


def failed(number: int, code: int, **fields: Any) -> Any:
    return an_attempt(number, outcome="status", code=code, response=b"no\xff", error="it said no", **fields)


# ---- deliveries -----------------------------------------------------------------------------------------


async def test_a_delivery_shows_all_of_its_attempts(history: SqlHistory):
    first = a_delivery()
    second = a_delivery(first.event, id=first.id, attempt=2)
    failure = Record(first, "webhook", Status.RETRYING, "status", NOW + 1, failed(1, 503), NOW + 6.5)
    async with serving(history, failure) as api:
        found = await api.client.get(f"/deliveries/{first.id}")
        assert (found["status"], found["reason"], found["hook"]) == ("RETRYING", "status", "crm")
        assert found["created_at"] == "2025-05-05T07:08:09.250000Z"
        assert found["updated_at"] == "2025-05-05T07:08:10.250000Z"
        assert found["next_attempt_at"] == "2025-05-05T07:08:15.750000Z"
        [attempt] = found["attempts"]
        assert attempt["error"] == "it said no"
        assert "no" in attempt["response"]
        await history.commit([delivered(second, at=NOW + 7)])
        found = await api.client.get(f"/deliveries/{first.id.upper()}")
        assert found["next_attempt_at"] is None
        assert [(each["number"], each["status_code"]) for each in found["attempts"]] == [(1, 503), (2, 200)]
        [listed] = (await api.client.get("/deliveries"))["items"]
        assert found.pop("target") == {"type": "queue", "to": "q"}
        assert {attempt["generation"] for attempt in found["attempts"]} == {1}
        last = {key: found["attempts"][1][key] for key in ("duration_ms", "outcome", "status_code", "error")}
        last["at"] = found["attempts"][1]["started_at"]
        assert listed == {**found, "attempts": 2, "last": last}


async def test_a_list_comes_in_pages_from_the_newest_on(history: SqlHistory):
    entries = [delivered(a_delivery(an_event(NOW + number))) for number in range(120)]
    async with serving(history, *entries) as api:
        seen: list[str] = []
        cursor, sizes = "", []
        while cursor is not None:
            page = await api.client.get(f"/deliveries?limit=50{cursor and '&cursor=' + cursor}")
            seen += [item["id"] for item in page["items"]]
            sizes.append(len(page["items"]))
            cursor = page["next"]
        assert sizes == [50, 50, 20]
        assert seen == [entry.delivery.id for entry in reversed(entries)]
        assert len((await api.client.get("/deliveries"))["items"]) == 50
        assert len((await api.client.get("/deliveries?limit=200"))["items"]) == 120


async def test_deliveries_are_found_by_each_filter_and_by_several(history: SqlHistory):
    wanted = a_delivery(an_event(NOW, type="invoices.paid"), hook="erp")
    success = a_delivery(an_event(NOW + 60))
    entries = [waiting(wanted), delivered(success), delivered(a_delivery(an_event(NOW + 120)))]
    async with serving(history, *entries) as api:

        async def ids(query: str) -> list[str]:
            return [item["id"] for item in (await api.client.get(f"/deliveries?{query}"))["items"]]

        for query in (
            "hook=erp",
            "status=PENDING",
            "status=PENDING&status=RETRYING",
            "status=FAILED,PENDING",
            "type=invoices.paid",
            f"event_id={wanted.event.id}",
            "to=2025-05-05T07:09:00Z",
            "from=2025-05-05T09:08:00%2B02:00&to=2025-05-05T09:09:00+02:00",
            "hook=erp&status=PENDING&type=invoices.paid",
        ):
            assert await ids(query) == [wanted.id], query
        assert await ids("hook=erp&status=SUCCESS") == []
        assert await ids("from=2025-05-05T07:09:09.25Z&to=2025-05-05T07:10:00Z") == [success.id]
        assert await ids("from=2025-05-05&to=2025-05-05") == await ids("")
        assert await ids("to=2025-05-04") == []


async def test_deliveries_are_found_by_the_name_of_their_hook_too(history: SqlHistory):
    async with serving(history, delivered(a_delivery())) as api:
        made = (await api.client.send("POST", "/hooks", {**HOOK, "name": "by-name"})).body
        mine = a_delivery(hook=made["id"])
        assert await history.commit([delivered(mine)]) == []
        for which in ("by-name", made["id"]):
            items = (await api.client.get(f"/deliveries?hook={which}"))["items"]
            assert [item["id"] for item in items] == [mine.id]


# ---- events ---------------------------------------------------------------------------------------------


async def test_an_event_shows_what_it_holds_and_its_deliveries(history: SqlHistory):
    event = an_event(
        body=b'{"type":"action","data":{"model":"a\\\\b\\\\C","action":"edit","n":123456789012345678901}}',
        headers={
            "raw": b"\xff",
            "price": Decimal("1.50"),
            "at": datetime(2025, 5, 5, tzinfo=UTC),
            "t": {"a": [1]},
        },
        routing_key="hooks2",
        content_type="application/json",
        timestamp=datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC),
        publisher_id="p-1",
        identity="cron",
    )
    delivery = a_delivery(event)
    async with serving(history, delivered(delivery)) as api:
        found = await api.client.get(f"/events/{event.id}")
        assert found["data"]["n"] == 123456789012345678901
        assert found["headers"] == {
            "raw": "/w==",
            "price": "1.50",
            "at": "2025-05-05T00:00:00Z",
            "t": {"a": [1]},
        }
        assert found["properties"] == {
            "content_type": "application/json",
            "timestamp": "2025-05-05T07:08:09Z",
        }
        assert (found["publisher_id"], found["identity"], found["routing_key"]) == ("p-1", "cron", "hooks2")
        assert [each["id"] for each in found["deliveries"]] == [delivery.id]
        assert "hooks" not in found
        assert "data_base64" not in found
        assert found["data_fault"] is None


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"<e/>", b"\x00"])
async def test_a_body_that_is_not_json_is_shown_as_base64(history: SqlHistory, body: bytes):
    event = an_event(body=body, format="json")
    async with serving(history, Unmatched(event)) as api:
        found = await api.client.get(f"/events/{event.id}")
        assert base64.b64decode(found["data_base64"]) == body
        assert "data" not in found
        assert found["data_fault"].startswith("the body is ")


async def test_a_large_and_an_odd_body_are_shown_whole(history: SqlHistory):
    large = an_event(body=b'{"a":"' + b"x" * 2_000_000 + b'"}', format="json")
    deep = an_event(body=b"[" * 600 + b"]" * 600, format="json")
    lone = an_event(body=b'{"a":"\\ud83d"}', format="json")
    async with serving(history, Unmatched(large), Unmatched(deep), Unmatched(lone)) as api:
        assert len((await api.client.get(f"/events/{large.id}"))["data"]["a"]) == 2_000_000
        assert (await api.client.get(f"/events/{deep.id}"))["data"]
        assert (await api.client.get(f"/events/{lone.id}"))["data"] == {"a": "\ud83d"}


async def test_an_explained_event_has_what_filters_see_beside_its_data(history: SqlHistory):
    body = b'{"event":"tool.called","metadata":{"tenantId":"t9"},"data":{"tool":"a"}}'
    event = an_event(body=body, format="plinqx")
    cloud = an_event(body=b'{"specversion":"1.0","subject":"s","data":1}', format="cloudevents")
    async with serving(history, Unmatched(event), Unmatched(cloud)) as api:
        found = await api.client.get(f"/events/{event.id}?explain=true")
        assert found["data"] == {"tool": "a"}
        assert found["envelope"]["metadata"] == {"tenantId": "t9"}
        assert "attributes" not in found
        assert "envelope" not in await api.client.get(f"/events/{event.id}")
        assert (await api.client.get(f"/events/{cloud.id}?explain=true"))["attributes"]["subject"] == "s"


async def test_an_event_is_explained_on_request_by_todays_table(history: SqlHistory):
    event = an_event()
    async with serving(history, Unmatched(event)) as api:
        found = await api.client.get(f"/events/{event.id}?explain=true")
        assert [(each["hook"], each["matches"], each["decision"]) for each in found["hooks"]] == [
            ("crm", True, "match"),
            ("other", False, "filter_missing_key"),
        ]
        assert found["deliveries"] == []
        assert "hooks" not in await api.client.get(f"/events/{event.id}?explain=false")


async def test_events_are_found_by_each_filter(history: SqlHistory):
    wanted = an_event(NOW, source="phlix", type="a.b", publisher_id="\u00e9 +&\0")
    async with serving(history, Unmatched(wanted), Unmatched(an_event(NOW + 60))) as api:
        for query in (
            "source=phlix",
            "type=a.b",
            "publisher_id=%C3%A9%20%2B%26%00",
            "to=2025-05-05T07:09:00Z",
        ):
            found = await api.client.get(f"/events?{query}")
            assert [item["id"] for item in found["items"]] == [wanted.id], query
        assert len((await api.client.get("/events?limit=1"))["items"]) == 1


# ---- quarantine -----------------------------------------------------------------------------------------


async def test_a_message_in_quarantine_is_shown_byte_for_byte(history: SqlHistory):
    binary = in_quarantine(
        NOW, detail="no JSON", message=Message(b"\xff\x00", routing_key="hooks2", headers={"a": 1})
    )
    text = in_quarantine(NOW + 1, source="phlix", message=Message("\u00e9\0".encode(), message_id="m"))
    async with serving(history, binary, text) as api:
        found = await api.client.get(f"/quarantine/{binary.id}")
        assert base64.b64decode(found["body_base64"]) == b"\xff\x00"
        assert (found["body_text"], found["detail"], found["headers"]) == (None, "no JSON", {"a": 1})
        assert found["quarantined_at"] == "2025-05-05T07:08:09.250000Z"
        found = await api.client.get(f"/quarantine/{text.id}")
        assert (found["body_text"], found["properties"]) == ("\u00e9\0", {"message_id": "m"})
        listed = await api.client.get("/quarantine")
        assert [item["id"] for item in listed["items"]] == [text.id, binary.id]
        listed = await api.client.get("/quarantine?source=phlix")
        assert [item["id"] for item in listed["items"]] == [text.id]


async def test_what_is_shown_of_a_message_in_quarantine_can_be_explained(history: SqlHistory):
    message = Message(b'{"n":1}', routing_key="hooks2", type="customers.edit", headers={"a": [1, None]})
    fault = in_quarantine(message=message)
    async with serving(history, fault) as api:
        answer = await api.client.explain(await api.client.get(f"/quarantine/{fault.id}"))
        [event] = answer.body["events"]
        assert (event["type"], event["data"], event["headers"]) == (
            "customers.edit",
            {"n": 1},
            {"a": [1, None]},
        )
        assert len(answer.body["notes"]) == 5


# ---- what is wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deliveries", "events", "quarantine"])
async def test_an_id_that_nothing_has_or_that_can_be_none_is_404(history: SqlHistory, kind: str):
    async with serving(history) as api:
        for name in (new_id(), "nope", "1", "%00", "0" * 32, "..%2F..", "a" * 3000):
            await api.client.refused(f"/{kind}/{name}", 404)
        assert "GET" in (await api.client.ask(f"/{kind}", method="PUT")).headers["Allow"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("deliveries?limit=0", ["limit"]),
        ("deliveries?limit=201", ["limit"]),
        ("deliveries?limit=-1", ["limit"]),
        ("deliveries?limit=%D9%A3", ["limit"]),
        ("deliveries?limit=", ["limit"]),
        ("deliveries?limit=1e9", ["limit"]),
        ("deliveries?limit=5&limit=6", ["limit"]),
        ("deliveries?cursor=nonsense", ["cursor"]),
        ("deliveries?cursor=", ["cursor"]),
        ("deliveries?cursor=%00", ["cursor"]),
        ("deliveries?status=", ["status"]),
        ("deliveries?status=SUCCESS,,FAILED", ["status"]),
        ("deliveries?hook=%00", ["hook"]),
        ("deliveries?hook=", ["hook"]),
        ("deliveries?event_id=1", ["event_id"]),
        ("deliveries?type=a%0Ab", ["type"]),
        ("deliveries?from=soon", ["from"]),
        ("deliveries?to=2025-13-05T00:00:00Z", ["to"]),
        ("deliveries?hok=crm", ["hok"]),
        ("deliveries?hok=crm&limit=0&status=x", ["hok", "limit", "status"]),
        ("events?event_id=1", ["event_id"]),
        ("events?cursor=nonsense", ["cursor"]),
        ("events?publisher_id=", ["publisher_id"]),
        (f"events?publisher_id={'x' * 513}", ["publisher_id"]),
        ("quarantine?type=x", ["type"]),
        ("quarantine?cursor=nonsense", ["cursor"]),
        ("deliveries/01969f46-08a2-7281-857f-db3509783fc5?limit=1", ["limit"]),
        ("events/01969f46-08a2-7281-857f-db3509783fc5?explain=yes", ["explain"]),
        ("hooks?status=x", ["status"]),
        ("hooks?cursor=%20", ["cursor"]),
        ("hooks/crm?limit=1", ["limit"]),
        ("sources?limit=x", ["limit"]),
    ],
)
async def test_a_wrong_parameter_is_named(history: SqlHistory, query: str, names: list[str]):
    async with serving(history) as api:
        answer = await api.client.refused(f"/{query}")
        assert sorted(answer.names) == sorted(names)
        assert all(name in answer.body["detail"] for name in names)


NASTY = [
    "%00",
    "%ff",
    "%ED%A0%80",
    "'",
    "%25",
    "..%2F",
    "%F0%9F%92%A9",
    "-1",
    "9" * 40,
    "1e309",
    "NaN",
    "*",
    "#",
    "%0D%0A",
    "x" * 3000,
]
PARAMETERS = {
    "deliveries": ("limit", "cursor", "hook", "status", "type", "event_id", "from", "to"),
    "events": ("limit", "cursor", "source", "type", "publisher_id", "from", "to"),
    "quarantine": ("limit", "cursor", "source"),
    "hooks": ("limit", "cursor"),
    "sources": ("limit", "cursor"),
}


@pytest.mark.parametrize("path", PARAMETERS)
async def test_whatever_a_parameter_holds_is_answered_or_refused(history: SqlHistory, path: str):
    async with serving(history, delivered(), in_quarantine()) as api:
        for name in (*PARAMETERS[path], "%ff", "%00"):
            for text in NASTY:
                url = URL(f"{api.client.url}/api/v1/{path}?{name}={text}", encoded=True)
                async with api.client.session.get(
                    url, headers={"Authorization": f"Bearer {TOKEN}"}
                ) as answer:
                    assert answer.status in {200, 400, 422}, (name, text, await answer.text())


async def test_a_misspelt_parameter_names_the_nearest(history: SqlHistory):
    async with serving(history) as api:
        answer = await api.client.refused("/deliveries?staus=FAILED")
        assert "did you mean status?" in answer.body["detail"]


async def test_a_moment_at_the_ends_of_the_calendar_is_none_too_early_or_late(history: SqlHistory):
    async with serving(history, delivered()) as api:
        query = "from=0001-01-01T00:00:00%2B14:00&to=9999-12-31T23:59:59-14:00"
        for kind in ("deliveries", "events"):
            assert len((await api.client.get(f"/{kind}?{query}"))["items"]) == 1


# ---- outages --------------------------------------------------------------------------------------------


async def test_an_outage_of_the_database_is_503_and_over_when_it_is_over(history: SqlHistory, tmp_path: Path):
    async with serving(history, delivered()) as api:
        await history.close()
        for path in ("/deliveries", "/events", "/quarantine", f"/events/{new_id()}"):
            answer = await api.client.refused(path, 503)
            assert int(answer.headers["Retry-After"]) > 0
            assert str(tmp_path) not in answer.body["detail"]
        await api.client.get("/hooks")
    with sqlite3.connect(tmp_path / "bridge.db") as connection:
        assert connection.execute("SELECT count(*) FROM deliveries").fetchone() == (1,)
