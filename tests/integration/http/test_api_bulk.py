"""Many deliveries retried or cancelled at once: counted first, by id or by filter, and no more than were counted."""

from collections.abc import Sequence
from typing import Any

import pytest

from bridge.core.delivery import Record, Status
from bridge.core.records import DeliveryFilter
from bridge.deliveries import bulk
from bridge.history.history import SqlHistory
from tests.support.api_server import ServedApi, serving_api
from tests.support.records import NOW, a_delivery, an_event, delivered, new_id, waiting
from tests.support.replays import failures

TARGET = {"type": "webhook", "url": "https://x.example.net/"}
HOOKS: list[dict[str, Any]] = [
    {"name": "crm", "target": TARGET},
    {"name": "off", "target": TARGET, "enabled": False},
]


async def asked(api: ServedApi, verb: str, **body: Any) -> Any:
    answer = await api.client.send("POST", f"/deliveries/{verb}", body)
    assert answer.status == 200, answer.body
    return answer.body


async def statuses(history: SqlHistory, records: Sequence[Record]) -> list[Status]:
    page = await history.deliveries(DeliveryFilter(), after=None, limit=200)
    known = {each.id: each.status for each in page.items}
    return [known[record.delivery.id] for record in records]


async def test_what_fits_a_filter_is_counted_and_then_retried(history: SqlHistory):
    old, off = failures(5), failures(2, "off")
    await history.commit([*old, *off, delivered()])
    which = {"type": "customers.create", "updated_to": "2025-05-06"}
    async with serving_api(history, HOOKS) as api:
        counted = await asked(api, "retry", filter=which, dry_run=True)
        assert await statuses(history, old) == [Status.FAILED] * 5
        done = await asked(api, "retry", filter=which)
        again = await asked(api, "retry", filter=which)
        (entry,) = (await api.client.get("/audit"))["items"][1:]

    assert counted == {"dry_run": True, "count": 5, "left_out": 2, "exact": True}
    assert done == {"dry_run": False, "count": 5, "left_out": 2, "exact": True}
    assert again["count"] == 0
    assert await statuses(history, [*old, *off]) == [Status.PENDING] * 5 + [Status.FAILED] * 2
    assert (entry["action"], entry["detail"]["count"]) == ("deliveries.retry_many", 5)
    assert entry["detail"]["filter"] == which


async def test_deliveries_are_retried_by_id_whatever_their_status(history: SqlHistory):
    records = [*failures(1), delivered(a_delivery(an_event(NOW + 1)))]
    await history.commit(records)
    async with serving_api(history, HOOKS) as api:
        ids = [record.delivery.id for record in records]
        done = await asked(api, "retry", ids=[*ids, ids[0].upper(), new_id()])

    assert (done["count"], done["left_out"]) == (2, 0)
    assert await statuses(history, records) == [Status.PENDING] * 2


async def test_what_waits_is_cancelled_and_what_is_final_stays(history: SqlHistory):
    waits = [
        waiting(a_delivery(an_event(NOW + n)), status)
        for n, status in enumerate((Status.PENDING, Status.RETRYING))
    ]
    final = failures(1)
    await history.commit([*waits, *final])
    async with serving_api(history, HOOKS) as api:
        by_id = await asked(api, "cancel", ids=[final[0].delivery.id])
        done = await asked(api, "cancel", filter={"hook": "crm", "reason": "hook_paused"})

    assert (by_id["count"], by_id["left_out"]) == (0, 1)
    assert (done["count"], done["exact"]) == (2, True)
    assert await statuses(history, waits) == [Status.FAILED] * 2


async def test_a_request_ends_at_its_bound_and_says_so(history: SqlHistory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk, "MOST", 2)
    monkeypatch.setattr(bulk, "_AT_ONCE", 2)
    await history.commit(failures(5))
    async with serving_api(history, HOOKS) as api:
        first = await asked(api, "retry", filter={"hook": "crm"})
        rest = [await asked(api, "retry", filter={"hook": "crm"}) for _ in range(2)]

    assert (first["count"], first["exact"]) == (2, False)
    assert [(each["count"], each["exact"]) for each in rest] == [(2, False), (1, True)]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({}, ["ids"]),
        ({"ids": [new_id()], "filter": {}}, ["ids"]),
        ({"ids": []}, ["ids"]),
        ({"ids": ["x"]}, ["ids[0]"]),
        (
            {"filter": {"hook": "crn", "source": "splink", "from": "soon"}},
            ["filter.hook", "filter.source", "filter.from"],
        ),
        ({"filter": {"replay": "x" * 36}}, ["filter.replay"]),
        ({"filter": {"hok": "crm"}}, ["filter.hok"]),
    ],
)
@pytest.mark.parametrize("verb", ["retry", "cancel"])
async def test_what_is_wrong_is_named_and_nothing_done(
    history: SqlHistory, verb: str, body: dict[str, Any], names: list[str]
):
    old = failures(1)
    await history.commit(old)
    async with serving_api(history, HOOKS) as api:
        answer = await api.client.send("POST", f"/deliveries/{verb}", body)

    assert (answer.status, answer.names) == (422, names)
    assert await statuses(history, old) == [Status.FAILED]


async def test_an_empty_filter_takes_all_that_failed(history: SqlHistory):
    await history.commit(failures(3))
    async with serving_api(history, HOOKS) as api:
        assert (await asked(api, "retry", filter={}, dry_run=True))["count"] == 3
