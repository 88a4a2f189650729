"""Finding things over HTTP: by names that somebody has, days, short ids, dimensions, and by what events hold."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Counted, Record, Status, Unmatched
from bridge.core.hook import Hook
from bridge.events import api as search
from bridge.history.history import SqlHistory, open_history
from bridge.targets.factory import Targets
from tests.integration.http.test_api_history import failed, serving
from tests.support.api_server import serving_api
from tests.support.publisher import MemoryPublisher
from tests.support.records import NOW, a_delivery, an_event, delivered, in_quarantine, new_id, waiting


def bought(number: int, customer: Any) -> Any:
    """An event of a customer."""
    body = f'{{"data": {{"attributes": {{"customer_id": {customer}}}}}}}'.encode()
    return an_event(NOW + number, body=body, format="json", type="orders.paid")


# ---- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("deliveries?hook=crn", "hook: there is no hook 'crn'; did you mean crm?"),
        ("deliveries?status=FAILD", "did you mean FAILED?"),
        ("deliveries?source=splink", "did you mean splynx?"),
        ("deliveries?type=customers.creat", "did you mean customers.create?"),
        ("deliveries?type=customers.*", "no event of type 'customers.*'"),
        ("deliveries?from=2025-05-06&to=2025-05-05", "to: must be after `from`"),
        ("deliveries?updated_from=now&updated_to=-1h", "updated_to: must be after `updated_from`"),
        ("events?source=splink", "did you mean splynx?"),
        ("events?type=customers.creat", "did you mean customers.create?"),
        ("events?status=matchd", "did you mean matched?"),
        ("events?dimension=custmer=17", "no source has a dimension 'custmer'"),
        ("events?from=now&to=-7d", "must be after"),
        ("quarantine?source=splink", "did you mean splynx?"),
        ("quarantine?reason=schema_mismatc", "did you mean schema_mismatch?"),
        ("quarantine?from=now&to=-7d", "must be after"),
        ("audit?from=now&to=-7d", "must be after"),
        ("audit?actor=adm", "actor: there is no actor 'adm'; did you mean admin?"),
        ("audit?action=hook.pause", "did you mean hooks.pause?"),
        ("audit?action=pause", "there is no action 'pause'"),
        ("audit?object_type=hoks", "did you mean hook?"),
        ("audit?object_type=hook&object_id=crn", "did you mean crm?"),
        ("deliveries?hook=CRM", "did you mean crm?"),
        ("deliveries?event_id=00000000", "no event's id begins with 00000000"),
    ],
)
async def test_what_nobody_is_called_is_refused_with_the_nearest_name(
    history: SqlHistory, query: str, told: str
):
    async with serving(history, delivered()) as api:
        answer = await api.client.refused(f"/{query}", 422)
        assert told in answer.body["detail"]


async def test_a_hook_that_nobody_has_in_a_path_is_not_found_and_the_nearest_is_offered(history: SqlHistory):
    async with serving(history, delivered()) as api:
        answer = await api.client.refused("/hooks/crn/stats", 404)
        assert "did you mean crm?" in answer.body["detail"]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"reason": "schema_mismatc"}, ["reason"]),
        ({"source": "splink"}, ["source"]),
        ({"source": "splink", "reason": "x"}, ["reason", "source"]),
    ],
)
async def test_many_in_quarantine_are_asked_for_by_names_that_somebody_has(
    history: SqlHistory, asked: dict[str, str], named: list[str]
):
    async with serving(history, in_quarantine()) as api:
        answer = await api.client.send("POST", "/quarantine/requeue", asked)
        assert (answer.status, answer.names) == (422, named)
        dropping = "&".join(f"{name}={word}" for name, word in asked.items())
        answer = await api.client.ask(f"/quarantine?{dropping}", method="DELETE")
        assert (answer.status, sorted(answer.names)) == (422, named)


async def test_copies_from_lanes_may_be_asked_for_where_there_are_none(history: SqlHistory):
    async with serving(history, delivered()) as api:
        assert (await api.client.get("/quarantine?source=lanes"))["items"] == []
        answer = await api.client.send("POST", "/quarantine/requeue", {"source": "lanes"})
        assert (answer.status, answer.body["requeued"]) == (200, 0)


async def test_deliveries_are_found_by_the_beginning_of_their_events_id(history: SqlHistory):
    one, other = delivered(), delivered()
    async with serving(history, one, other) as api:
        found = await api.client.get(f"/deliveries?event_id={one.delivery.event.id.upper()}")
        assert [each["id"] for each in found["items"]] == [one.delivery.id]
        common = 0
        while one.delivery.event.id[common] == other.delivery.event.id[common]:
            common += 1
        alone, both = one.delivery.event.id[: max(8, common + 1)], one.delivery.event.id[:common]
        found = await api.client.get(f"/deliveries?event_id={alone}")
        assert [each["id"] for each in found["items"]] == [one.delivery.id]
        if common >= 8:
            answer = await api.client.refused(f"/deliveries?event_id={both}", 422)
            assert one.delivery.event.id in answer.body["detail"]
        assert (await api.client.refused("/deliveries?event_id=zz", 400)).names == ["event_id"]


async def test_what_is_gone_and_in_the_history_may_be_asked_for(history: SqlHistory):
    entries = [
        delivered(a_delivery(an_event(source="old", type="a.b"), hook="gone")),
        in_quarantine(reason="odd"),
    ]
    async with serving(history, *entries) as api:
        for query in (
            "deliveries?hook=gone",
            "deliveries?type=a.b",
            "events?source=old",
            "quarantine?reason=odd",
        ):
            assert len((await api.client.get(f"/{query}"))["items"]) == 1, query


async def test_what_may_come_and_has_not_yet_is_no_error(history: SqlHistory):
    hook = {"name": "crm", "events": ["invoices.paid"], "target": {"type": "queue", "queue": "q"}}
    async with serving_api(history, [hook]) as api:
        for query in ("type=invoices.paid", "type=customers.customer.create", "hook=crm", "status=FAILED"):
            assert (await api.client.get(f"/deliveries?{query}"))["items"] == [], query


# ---- days, orders, counts, short ids ----------------------------------------------------------------------


async def test_a_day_that_ends_a_span_is_within_it_in_every_list(history: SqlHistory):
    async with serving(history, delivered(), in_quarantine()) as api:
        for name in ("deliveries", "events", "quarantine"):
            assert len((await api.client.get(f"/{name}?from=2025-05-05&to=2025-05-05"))["items"]) == 1, name
            assert (await api.client.get(f"/{name}?to=2025-05-04"))["items"] == [], name
            assert len((await api.client.get(f"/{name}?from=9999d"))["items"]) == 1, name


async def test_what_became_final_lately_is_found_though_it_was_received_long_ago(history: SqlHistory):
    old, young = a_delivery(an_event(NOW)), a_delivery(an_event(NOW + 60))
    now = time.time()
    ended = Record(old, "webhook", Status.FAILED, "retries_exhausted", now - 5, failed(1, 503))
    async with serving(history, ended, delivered(young)) as api:
        lately = (await api.client.get("/deliveries?updated_from=1h&status=FAILED"))["items"]
        assert [each["id"] for each in lately] == [old.id]
        assert (lately[0]["last"]["status_code"], lately[0]["last"]["error"]) == (503, "it said no")
        ordered = (await api.client.get("/deliveries?order=updated"))["items"]
        assert [each["id"] for each in ordered] == [old.id, young.id]
        wrong = await api.client.refused("/deliveries?updated_from=1h&order=received")
        assert wrong.names == ["order"]


async def test_a_page_tells_how_much_is_behind_it_where_that_is_asked(history: SqlHistory):
    entries = [delivered(a_delivery(an_event(NOW + number))) for number in range(70)]
    async with serving(history, *entries) as api:
        for name in ("deliveries", "events"):
            page = await api.client.get(f"/{name}?count=true&limit=50")
            assert page["more"] == {"count": 20, "exact": True}
            last = await api.client.get(f"/{name}?count=true&limit=50&cursor={page['next']}")
            assert (len(last["items"]), last["more"]) == (20, {"count": 0, "exact": True})
            assert "more" not in await api.client.get(f"/{name}")


async def test_the_beginning_of_an_id_is_enough_unless_others_begin_so(history: SqlHistory):
    one, other = delivered(a_delivery(an_event(NOW))), delivered(a_delivery(an_event(NOW + 2)))
    kept = in_quarantine(NOW + 300)
    async with serving(history, one, other, kept) as api:
        short = one.delivery.id[:18]
        assert (await api.client.get(f"/deliveries/{short}"))["id"] == one.delivery.id
        assert (await api.client.get(f"/events/{one.delivery.event.id[:20].upper()}"))[
            "id"
        ] == one.delivery.event.id
        assert (await api.client.get(f"/quarantine/{kept.id[:18]}"))["id"] == kept.id
        several = await api.client.refused(f"/deliveries/{one.delivery.id[:8]}", 409)
        assert one.delivery.id in several.body["detail"]
        for nobody in ("01987a5c-2f3e-7c", "0196", "zzzzzzzz", new_id()[:18] + "x"):
            await api.client.refused(f"/deliveries/{nobody}", 404)


# ---- what events hold ---------------------------------------------------------------------------------------


async def test_events_are_found_by_what_they_hold(history: SqlHistory):
    found = [bought(number, f'"{number % 9}"') for number in range(40)]
    async with serving(history, *map(Unmatched, found)) as api:
        where = 'event.data.data.attributes.customer_id == "7"'
        page = await api.client.get(f"/events?where={where}&type=orders.paid".replace(" ", "%20"))
        expected = sorted((each.id for number, each in enumerate(found) if number % 9 == 7), reverse=True)
        assert [each["id"] for each in page["items"]] == expected
        assert page["searched"]["events"] == 40
        assert page["searched"]["back_to"] == "2025-05-05T07:08:09.250000Z"
        assert page["next"] is None


async def test_a_search_ends_at_its_bounds_says_how_far_it_got_and_goes_on_from_there(
    history: SqlHistory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(search, "MOST_LOOKED_AT", 7)
    found = [bought(number, number) for number in range(40)]
    async with serving(history, *map(Unmatched, found)) as api:
        where = "int(event.data.data.attributes.customer_id)%20%25%203%20==%200"
        seen, cursor = [], ""
        while cursor is not None:
            page = await api.client.get(f"/events?where={where}&limit=2{cursor and '&cursor=' + cursor}")
            assert len(page["items"]) <= 2
            assert page["searched"]["events"] <= 7
            seen += [each["id"] for each in page["items"]]
            cursor = page["next"]
        assert seen == [each.id for number, each in enumerate(found) if number % 3 == 0][::-1]


async def test_a_search_over_many_events_leaves_the_process_to_others(history: SqlHistory):
    filler = "x" * 2000
    found = [
        an_event(NOW + number, body=f'{{"filler": "{filler}", "n": {number}}}'.encode(), format="json")
        for number in range(3000)
    ]
    async with serving(history, *map(Unmatched, found)) as api:
        searching = asyncio.create_task(api.client.get("/events?where=event.data.n%20==%201&limit=1"))
        longest, began = 0.0, time.monotonic()
        while not searching.done():
            before = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)
        page = await searching
        assert page["searched"]["events"] > 100
        assert longest < max(0.25, (time.monotonic() - began) / 2)


async def test_an_expression_that_is_none_and_one_that_answers_nothing(history: SqlHistory):
    async with serving(history, Unmatched(bought(1, 1))) as api:
        wrong = await api.client.refused("/events?where=event.dat.x%20==%201")
        assert wrong.names == ["where"]
        missing = await api.client.get("/events?where=event.data.nope%20==%201")
        assert (missing["items"], missing["searched"]["unanswered"]) == ([], 0)
        odd = await api.client.get("/events?where=int(event.type)%20==%201")
        assert (odd["items"], odd["searched"]["unanswered"]) == ([], 1)
        assert (await api.client.refused("/events?where=true&count=true")).names == ["count"]


async def test_events_are_found_by_dimensions_of_their_source_and_by_webhook_id(history: SqlHistory):
    source = {
        "name": "shop",
        "queue": "q",
        "format": "json",
        "dimensions": {"customer": "event.data.customer"},
    }
    found = [
        an_event(NOW + number, source="shop", webhook_id=f"msg_{number}", publisher_id="p")
        for number in range(6)
    ]
    counted = [Counted(one, {"customer": str(number % 2)}) for number, one in enumerate(found)]
    await history.commit([*map(Unmatched, found), *counted])
    async with serving_api(history, sources=[source]) as api:
        page = await api.client.get("/events?dimension=customer=1&source=shop")
        assert [each["id"] for each in page["items"]] == [one.id for one in found[1::2]][::-1]
        both = await api.client.get(
            "/events?dimension=customer=1&where=event.received_at%20%3E%20timestamp('2025-05-05T07:08:11Z')"
        )
        assert len(both["items"]) == 2
        assert [each["id"] for each in (await api.client.get("/events?webhook_id=msg_3"))["items"]] == [
            found[3].id
        ]
        assert (await api.client.refused("/events?dimension=customer")).names == ["dimension"]


# ---- what was sent ------------------------------------------------------------------------------------------


async def test_a_delivery_tells_what_it_would_send_and_whether_that_is_what_it_sent(
    history: SqlHistory, tmp_path: Path
):
    target = {
        "type": "webhook", "url": "http://127.0.0.1:1/in?token=s3cret", "secrets": ["whsec_" + "QUJD" * 8],
        "headers": {"X-Api-Key": "s3cret", "X-Shop": "7"}, "body": "template", "template": '{"n": {{ event.data.a }}}',
    }  # fmt: skip
    hook = Hook.model_validate({"name": "crm", "target": target})
    made = Targets({"": MemoryPublisher()}, ["127.0.0.0/8"], tmp_path, lambda _: None)
    event = an_event(format="json")
    delivery = a_delivery(event)
    sending = made.build(hook)
    answer = await sending.attempt(a_delivery(replace(event, data={"a": 1})))
    record = Record(delivery, "webhook", Status.FAILED, "x", NOW, failed(1, 0, evidence=answer.evidence))
    async with serving(history, record) as api:
        api.runner("crm").target = sending
        alone = await api.client.get(f"/deliveries/{delivery.id}")
        sent = alone["attempts"][0]["request"]
        shown = {each["name"]: each["value"] for each in sent["headers"]}
        assert (shown["X-Api-Key"], shown["X-Shop"]) == ("***", "7")
        assert shown["webhook-signature"].endswith("...")
        assert "s3cret" not in str(alone)

        request = await api.client.get(f"/deliveries/{delivery.id}/request")
        assert request["body_text"] == '{"n": 1}'
        assert request["body_sha256"] == sent["body_sha256"]
        assert (request["compared_with"], request["same_body"], request["same_settings"]) == (1, True, True)

        other = hook.model_copy(update={"target": hook.target.model_copy(update={"template": "{}"})})
        api.runner("crm").target = made.build(other)
        changed = await api.client.get(f"/deliveries/{delivery.id}/request")
        assert (changed["body_text"], changed["same_body"], changed["same_settings"]) == ("{}", False, False)

        api.runner("crm").target = None
        not_here = await api.client.refused(f"/deliveries/{delivery.id}/request", 409)
        assert "does not serve" in not_here.body["detail"]
        await api.client.refused(f"/deliveries/{new_id()}/request", 404)
    await made.close()


async def test_a_hook_that_is_gone_has_no_request(history: SqlHistory):
    async with serving(history, waiting(delivery := a_delivery(hook="gone"))) as api:
        answer = await api.client.refused(f"/deliveries/{delivery.id}/request", 409)
        assert "is gone" in answer.body["detail"]


async def test_deliveries_are_found_by_their_last_attempt_reason_and_source(tmp_path: Path):
    history = await open_history(f"sqlite:///{tmp_path}/bridge.db")
    codes = (500, 503, 503)
    records = [
        Record(a_delivery(an_event(NOW + n)), "webhook", Status.FAILED, f"r{n}", NOW + n, failed(1, code))
        for n, code in enumerate(codes)
    ]
    async with serving(history, *records) as api:
        counts = {
            query: len((await api.client.get(f"/deliveries?{query}"))["items"])
            for query in (
                "outcome=status",
                "outcome=timeout",
                "status_code=503",
                "status_code=503&reason=r2",
                "source=splynx&order=updated",
                f"replay={new_id()}",
            )
        }
        refused = await api.client.refused("/deliveries?outcome=late&status_code=many&replay=x")
    await history.close()

    assert list(counts.values()) == [3, 0, 2, 1, 3, 0]
    assert sorted(refused.names) == ["outcome", "replay", "status_code"]
