"""Deliveries, events, replays, quarantine, statistics, tokens and audit from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from devtools.project import ROOT
from tests.e2e.cli.conftest import Operated
from tests.support.endpoint import status
from tests.support.help_examples import examples
from tests.support.waiting import until

MAIN = ("--source", "main")
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def deliveries(operated: Operated, *filters: str) -> list[dict[str, Any]]:
    """Those that fit."""
    told = await operated.run("deliveries", "list", *filters, "--json")
    if told.code:
        assert "was ever received" in told.err, told.err  # the first event of its type is still on its way
        return []
    found: list[dict[str, Any]] = told.json["items"]
    return found


async def published(operated: Operated, type_: str) -> None:
    """An event of this type is in the source."""
    told = await operated.run.done(
        "events", "publish", "--type", type_, "--body", '{"n": 1}', "--source", "main"
    )
    assert f"confirmed in queue {operated.source!r}" in told.out


async def only(operated: Operated, type_: str, wanted: str) -> dict[str, Any]:
    """The one delivery of this event type, as soon as it has this status."""

    async def look() -> Any:
        return [each for each in await deliveries(operated, "--type", type_) if each["status"] == wanted]

    [found] = await until(look)
    return dict(found)


async def test_a_failed_delivery_is_seen_with_its_attempts_and_retried_to_success(operated: Operated):
    operated.scene.endpoint.script("/crm", *[status(503, b"later")] * 2, status(200))
    await published(operated, "crm.failing")
    failed = await only(operated, "crm.failing", "FAILED")
    shown = await operated.run.done("deliveries", "show", failed["id"])
    assert shown.lines[0] == "FAILED (retries_exhausted)"
    assert shown.out.count(" 503 ") == 2
    assert "later" in shown.out
    alone = await operated.run.json("deliveries", "show", failed["id"])
    assert [attempt["status_code"] for attempt in alone["attempts"]] == [503, 503]
    retried = await operated.run.done("deliveries", "retry", failed["id"])
    assert retried.out.startswith(f"{failed['id']}: PENDING")
    await only(operated, "crm.failing", "SUCCESS")
    assert (await operated.run("deliveries", "cancel", failed["id"])).code == 1


async def test_an_event_without_data_is_shown_with_the_reason_and_its_body(operated: Operated):
    told = await operated.run.done(
        *("events", "publish", "--type", "crm.bytes", "--body", "no JSON", "--source", "main"),
        *("--content-type", "application/json"),
    )
    assert "confirmed" in told.out
    found = await only(operated, "crm.bytes", "SUCCESS")
    shown = await operated.run.done("events", "show", found["event_id"])
    names = [line.split("  ")[0] for line in shown.lines]
    assert "data" not in names
    assert "body (base64)" in names


async def test_many_deliveries_are_cancelled_from_standard_input(operated: Operated):
    for _ in range(2):
        await published(operated, "held.cancelled")

    async def waiting() -> Any:
        found = await deliveries(operated, "--type", "held.cancelled", "--status", "pending")
        return found if len(found) == 2 else None

    ids = [each["id"] for each in await until(waiting)]
    told = await operated.run.done("deliveries", "cancel", "-", "--json", stdin="\n".join(ids).encode())
    assert [json.loads(line)["reason"] for line in told.lines] == ["cancelled", "cancelled"]
    again = await operated.run("deliveries", "cancel", *ids)
    assert (again.code, again.out) == (1, "")
    assert again.err.count("409 Conflict") == 2


async def test_lists_follow_pages_up_to_the_limit(operated: Operated):
    for _ in range(3):
        await published(operated, "unasked.for")
    page = await until(lambda: pages(operated, "3"))
    assert len(page["items"]) == 3
    assert (await pages(operated, "2"))["next"] is not None
    whole = await operated.run.json("events", "list", "--type", "unasked.for", "--all")
    assert (len(whole["items"]), whole["next"]) == (3, None)
    table = await operated.run.done("events", "list", "--type", "unasked.for", "--since", "1h")
    assert len(table.lines) == 4


async def pages(operated: Operated, limit: str) -> Any:
    """A list of events with this limit, as soon as it is full."""
    told = await operated.run("events", "list", "--type", "unasked.for", "--limit", limit, "--json")
    return told.json if told.code == 0 and len(told.json["items"]) == int(limit) else None


async def test_an_event_is_published_once_for_one_key_and_explained(operated: Operated):
    once = (
        "events",
        "publish",
        "--type",
        "crm.once",
        "--body",
        "{}",
        *MAIN,
        "--idempotency-key",
        "k-1",
        "--json",
    )
    first, second = await operated.run(*once), await operated.run(*once)
    assert first.json == second.json
    other = await operated.run("events", "publish", "--body", "[]", *MAIN, "--idempotency-key", "k-1")
    assert other.code == 2
    delivery = await only(operated, "crm.once", "SUCCESS")
    event = await operated.run.json("events", "show", delivery["event_id"], "--explain")
    assert {each["hook"]: each["matches"] for each in event["hooks"]} == {"crm": True, "held": False}
    told = await operated.run.done("explain", delivery["event_id"])
    assert "matches none of held.*" in told.out
    given = await operated.run.json("explain", "-", "--type", "held.x", *MAIN, stdin=b'{"n": 1}')
    assert [each["matches"] for each in given["events"][0]["hooks"]] == [False, True]
    wrapped = b'{"properties": {"type": "crm.y"}, "body": {"a": 1}}'
    given = await operated.run.json("explain", "--message", "-", *MAIN, stdin=wrapped)
    assert given["events"][0]["type"] == "crm.y"


async def test_a_body_that_is_no_text_arrives_byte_for_byte(operated: Operated):
    body = b"\xff\x00\xfe"
    command = ("events", "publish", "-", "--type", "crm.raw", *MAIN)
    assert (await operated.run(*command, stdin=body)).code == 2
    await operated.run.done(*command, "--content-type", "application/x-raw", stdin=body)
    await only(operated, "crm.raw", "SUCCESS")
    assert body in operated.scene.endpoint.bodies("/crm")


async def test_a_replay_is_counted_then_followed_to_its_end(operated: Operated):
    operated.scene.endpoint.script("/crm", *[status(500)] * 4, status(200))
    for _ in range(2):
        await published(operated, "crm.replayed")

    async def failed() -> bool:
        return len(await deliveries(operated, "--type", "crm.replayed", "--status", "FAILED")) == 2

    await until(failed)
    which = ("--hook", "crm", "--type", "crm.replayed", "--since", "1h")
    assert (await operated.run.json("replay", *which, "--dry-run"))["total"] == 2
    assert (
        await operated.run.done("replay", "start", *which, "--dry-run")
    ).out == "2 deliveries would be started anew\n"
    told = await operated.run.done("replay", *which, "--rate", "100/s")
    assert told.lines[0] == "done: 2 of 2 started anew"
    [listed] = (await operated.run.json("replay", "list", "--limit", "1"))["items"]
    assert (listed["status"], listed["done"]) == ("done", 2)
    assert (await operated.run.json("replay", "watch", listed["id"]))["status"] == "done"
    assert "crm.replayed" in (await operated.run.done("replay", "show", listed["id"])).out
    assert (await operated.run("replay", "cancel", "0190")).code == 1


async def test_a_detached_replay_is_cancelled(operated: Operated):
    for _ in range(3):
        await published(operated, "crm.detached")

    async def delivered() -> bool:
        return len(await deliveries(operated, "--type", "crm.detached", "--status", "SUCCESS")) == 3

    await until(delivered)
    # At one in ten seconds, three cannot be done before they are cancelled.
    made = await operated.run.json(
        "replay", "--type", "crm.detached", "--status", "SUCCESS", "--rate", "0.1", "--detach"
    )
    told = await operated.run.json("replay", "cancel", made["id"])
    assert told["status"] == "cancelled"


async def test_quarantined_bytes_are_written_as_they_are_and_messages_dropped(operated: Operated):
    body = b"\x1f\x8b broken"
    await operated.scene.queues.publish(operated.strict, [body])

    async def there() -> Any:
        return (await operated.run.json("quarantine", "list"))["items"]

    [message] = await until(there)
    assert (await operated.run.done("quarantine", "show", message["id"], "--raw")).raw == body
    assert message["reason"] in (await operated.run.done("quarantine", "show", message["id"])).out
    told = await operated.run.done("quarantine", "requeue", message["id"])
    assert f"back in queue {operated.strict!r}" in told.out
    [again] = await until(there)
    assert again["id"] != message["id"] or again["quarantined_at"] != message["quarantined_at"]
    await operated.run.done("quarantine", "drop", again["id"], "--yes")
    assert await there() == []
    assert (await operated.run("quarantine", "show", again["id"], "--raw")).code == 1


SPLYNX_EVENT = ROOT / "examples" / "splynx" / "event.json"


async def test_a_message_in_quarantine_is_corrected_in_an_editor_and_goes_back(
    operated: Operated, tmp_path: Path
):
    await operated.scene.queues.publish(operated.strict, [b'{"type": 5}'])

    async def there() -> Any:
        return (await operated.run.json("quarantine", "list"))["items"]

    [message] = await until(there)
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\ncat '{SPLYNX_EVENT}' >\"$1\"\n")
    editor.chmod(0o755)
    requeue = ("quarantine", "requeue", message["id"])
    told = await operated.run(*requeue, "--edit", EDITOR="true")
    assert (told.code, "nothing was changed" in told.err) == (1, True)
    told = await operated.run(*requeue, "--dry-run")
    assert "it would come back to quarantine: schema_mismatch" in told.out
    told = await operated.run(*requeue, "--edit", "--dry-run", VISUAL=str(editor))
    assert "as customers.customer.create" in told.out, told.err
    told = await operated.run(*requeue, "--edit", VISUAL=str(editor))
    assert f"back in queue {operated.strict!r}" in told.out, told.err
    assert await there() == []


async def test_statistics_sources_and_replicas_are_shown(operated: Operated):
    await published(operated, "crm.counted")
    await only(operated, "crm.counted", "SUCCESS")

    async def counted() -> Any:
        return (await operated.run.json("stats", "--hook", "crm"))["totals"]["succeeded"]

    await until(counted)
    told = await operated.run.done("stats", "--since", "1h", "--by", "minute")
    assert "success rate" in told.out
    assert "crm" in told.out
    assert (await operated.run.json("hooks", "stats", "crm"))["hook"] == "crm"
    assert [each["name"] for each in (await operated.run.json("sources"))["items"]] == ["main", "strict"]
    assert operated.source in (await operated.run.done("sources")).out
    assert (await operated.run.done("replicas")).lines[0].split()[0] == "id"
    # What is told apart by itself may be Phlix's, whose dimensions are known.
    dimensions = (await operated.run.done("stats", "dimensions", "--source", "main")).lines
    assert dimensions == ["user", "media", "duration", "completed"]


async def test_tokens_are_made_used_and_revoked_and_the_log_tells_of_it(operated: Operated):
    made = await operated.run.json(
        "tokens", "create", "--name", "watcher", "--role", "viewer", "--expires-in", "1d"
    )
    as_viewer = {"BRIDGE_TOKEN": made["token"]}
    assert (await operated.run("tokens", "me", "--json", **as_viewer)).json["role"] == "viewer"
    refused = await operated.run("hooks", "pause", "crm", **as_viewer)
    assert refused.code == 1
    assert "403 Forbidden" in refused.err
    assert "BRIDGE_TOKEN" in refused.err
    assert made["token"] not in (await operated.run.done("tokens", "list", "--json")).out
    assert (await operated.run.done("tokens", "revoke", "watcher", "--yes")).out == "watcher: revoked\n"
    unknown = await operated.run("hooks", "list", **as_viewer)
    assert unknown.code == 1
    assert "401 Unauthorized" in unknown.err
    log = await operated.run.json("audit", "--action", "tokens.create", "--since", "1h")
    assert log["items"][0]["actor"] == "admin"
    assert "tokens.create" in (await operated.run.done("audit")).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["deliveries", "list", "--status", "LOST"], "status: "),
        (["deliveries", "list", "--since", "soon"], "--since: 'soon' is no time"),
        (["deliveries", "retry"], "give the id of a delivery"),
        (["events", "publish"], "give a FILE, - for standard input, or --body TEXT"),
        (["events", "publish", "--body", "{"], "--body: not JSON"),
        (["replay", "--missing"], "hook"),
        (["replay", "--rate", "fast"], "rate"),
        (["tokens", "create", "x"], "--role"),
        (["tokens", "create", "--role", "viewer"], "--name: give the token one name"),
        (["quarantine", "drop", "x", "--all"], "give either ids"),
        (["stats", "--by", "week"], "--by"),
    ],
)
async def test_wrong_usage_is_exit_code_2(operated: Operated, arguments: list[str], said: str):
    told = await operated.run(*arguments)
    assert (told.code, told.out) == (2, ""), told.err
    assert said in told.err


def reads(words: tuple[str, ...]) -> bool:
    """Whether an example only looks, at what a bridge of these tests has."""
    looks = words[0] in {"stats", "audit", "sources"} or words[1:2] == ("list",) or "--dry-run" in words
    return looks and not {"phlix", "-c", "--dimension", "ID"} & set(words) and "--watch" not in words


@pytest.mark.parametrize("words", [each for each in examples() if reads(each)], ids=" ".join)
async def test_an_example_of_a_help_that_looks_at_something_runs(operated: Operated, words: tuple[str, ...]):
    typed = ["main" if word == "splynx" else word for word in words]
    told = await operated.run(*typed)
    assert told.code == 0, told.err


async def test_a_hook_that_nobody_has_is_told_with_the_nearest(operated: Operated):
    for words in (
        ("hooks", "pause", "crmm"),
        ("hooks", "show", "crmm"),
        ("deliveries", "list", "--hook", "crmm"),
    ):
        told = await operated.run(*words)
        assert told.code != 0
        assert "did you mean crm?" in told.err, told.err


async def test_an_event_is_found_by_what_it_holds_and_shown_by_the_beginning_of_its_id(operated: Operated):
    await operated.run.done(
        "events", "publish", "--type", "crm.found", "--body", '{"customer_id": "17"}', *MAIN
    )
    delivery = await only(operated, "crm.found", "SUCCESS")
    where = 'has(event.data.customer_id) && event.data.customer_id == "17"'
    told = await operated.run.done("events", "list", "--where", where, "--since", "1h")
    assert "crm.found" in told.out
    assert "looked at" in told.lines[-1]
    shown = await operated.run.done("deliveries", "show", delivery["id"][:18])
    assert "sent: POST " in shown.out
    assert "body sha256" in shown.out
    request = await operated.run.json("deliveries", "show", "--request", delivery["id"][:18])
    assert (request["body_text"], request["same_body"]) == ('{"customer_id": "17"}', True)
    assert (await operated.run("events", "list", "--until", "2020-01-01", "--since", "2020-01-02")).code == 2


async def test_a_list_says_how_much_it_does_not_show(operated: Operated):
    for _ in range(3):
        await published(operated, "unasked.more")
    await until(lambda: three_of(operated))
    told = await operated.run.done("events", "list", "--type", "unasked.more", "--limit", "2")
    assert told.lines[-1] == "2 shown, 1 more: --all"


async def three_of(operated: Operated) -> bool:
    told = await operated.run("events", "list", "--type", "unasked.more", "--json")
    return told.code == 0 and len(told.json["items"]) == 3
