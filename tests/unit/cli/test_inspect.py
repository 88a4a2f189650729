"""What `amqp-bridge inspect` prints, without a process of its own."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from bridge.cli.main import app
from bridge.core.errors import SettingsError
from tests.support.events import NASTY_BODIES

MESSAGES = Path(__file__).parents[2] / "data" / "publishers"
SPLYNX = MESSAGES / "splynx" / "queue_customer_create.json"
CONFIG = """
sources:
  - {name: splynx, queue: hooks2, format: splynx, timezone: Europe/Prague}
  - {name: shop, queue: shop, schema: order.json, dedupe: {by: event.data.order}}
hooks:
  - name: all
    target: {type: webhook, url: "https://x.example.net/", secrets: ["${NOT_SET_HERE}"]}
  - name: shop-only
    sources: [shop]
    target: {type: queue, queue: q}
  - name: other-type
    events: ["invoices.#"]
    target: {type: queue, queue: q}
  - name: filtered
    filter: 'event.data.result == "failed"'
    target: {type: queue, queue: q}
  - name: missing
    filter: 'event.data.nothing.there == 1'
    target: {type: queue, queue: q}
  - name: off
    enabled: false
    target: {type: queue, queue: q}
  - name: paused
    paused: true
    target: {type: queue, queue: q}
"""


def run(*arguments: str, body: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["inspect", *arguments], input=body, catch_exceptions=False)


def lines(*arguments: str, body: bytes = b"", code: int = 0) -> list[dict[str, Any]]:
    result = run("--json", *arguments, "-", body=body)
    assert result.exit_code == code
    return [json.loads(line) for line in result.stdout.splitlines()]


def one(*arguments: str, body: bytes = b"") -> dict[str, Any]:
    [line] = lines(*arguments, body=body)
    return line


def wrapped(**message: Any) -> dict[str, Any]:
    return one("--message", body=json.dumps(message).encode())


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    (tmp_path / "order.json").write_text('{"type": "object", "required": ["order"]}')
    return str(tmp_path / "bridge.yaml")


@pytest.mark.parametrize(
    ("name", "form", "kind", "publisher_id", "time"),
    [
        ("celery_event", "celery", "task-succeeded", None, "2025-05-05T07:08:09.101747Z"),
        ("celery_task_v2", "celery", "shop.tasks.ship", None, None),
        ("cloudevents_binary", "cloudevents", "com.example.order.paid", "/shopA234", "2025-05-05T07:08:09Z"),
        ("cloudevents_structured", "cloudevents", "com.example.order.paid", "/shopA236", "2025-05-05T07:08:09Z"),
        ("dead_lettered_once", "json", "hooks2", "m-1", None),
        ("debezium_schema_payload", "debezium", "public.orders.c", None, "2025-05-05T07:08:09.123Z"),
        ("rabbitmq_event_exchange", "json", "queue.created", None, "2025-05-05T07:08:09Z"),
    ],
)  # fmt: skip
def test_a_whole_message_is_decoded_as_from_the_broker(name, form, kind, publisher_id, time):
    found = one("--message", body=(MESSAGES / f"{name}.json").read_bytes())
    assert (found["format"], found["type"], found["publisher_id"]) == (form, kind, publisher_id)
    assert found["time"] == time
    assert "hooks" not in found


def test_where_the_broker_dead_lettered_it_is_listed():
    found = one("--message", body=(MESSAGES / "dead_lettered_once.json").read_bytes())
    assert found["dead_letters"] == [
        {
            "queue": "hooks2", "reason": "rejected", "count": 1, "exchange": "", "routing_keys": ["hooks2"],
            "time": "2025-05-05T07:08:09Z",
        }
    ]  # fmt: skip
    assert found["headers"]["x-first-death-queue"] == "hooks2"
    first = {"x-first-death-queue": "a", "x-first-death-reason": "expired"}
    assert wrapped(headers=first)["dead_letters"] == [{"queue": "a", "reason": "expired"}]
    assert "dead_letters" not in wrapped(headers={"x-death": 5})


def test_a_body_alone_has_no_routing_key():
    found = one(body=b'{"a":1}')
    assert (found["format"], found["type"], found["data"]) == ("json", "unknown", {"a": 1})
    assert found["source"] is found["webhook_id"] is None


def test_a_body_alone_comes_to_a_source_by_the_name_of_its_queue(config):
    assert one("-c", config, "--source", "shop", body=b'{"order":1}')["type"] == "shop"
    assert one("-c", config, "--source", "shop", "-m", body=b'{"body":{"order":1}}')["type"] == "unknown"


def test_format_and_timezone_may_be_told():
    body = SPLYNX.read_bytes()
    assert one("--timezone", "Europe/Prague", body=body)["time"] == "2025-03-14T08:26:53Z"
    assert one("--format", "json", body=body)["data"]["type"] == ""


@pytest.mark.parametrize("body", NASTY_BODIES.values(), ids=NASTY_BODIES)
@pytest.mark.parametrize("options", [(), ("--format", "splynx"), ("--format", "cloudevents")])
def test_no_body_raises_and_the_output_is_json(body, options):
    json.dumps(one(*options, body=body), allow_nan=False)
    assert run(*options, "-", body=body).exit_code == 0


def test_numbers_and_surrogates_come_out_as_they_are():
    body = b'{"n":12345678901234567890,"s":"\\ud83d","x":NaN,"f":0.1}'
    text = run("--json", "-", body=body).stdout
    assert '"n":12345678901234567890' in text.replace(" ", "")
    assert json.loads(text)["data"] == {"n": 12345678901234567890, "s": "\ud83d", "x": None, "f": 0.1}


def test_deep_nesting_and_a_megabyte_come_out_whole():
    deep = b"[" * 900 + b"12345678901234567890" + b"]" * 900
    text = run("--json", "-", body=deep).stdout
    assert deep.decode() in text
    assert len(one(body=b'{"a":"' + b"A" * 1_048_576 + b'"}')["data"]["a"]) == 1_048_576


def test_each_event_of_a_batch_is_a_line(config):
    event = {"specversion": "1.0", "type": "a", "source": "/s"}
    batch = [event | {"id": "1"}, event | {"id": "2"}]
    message = {"properties": {"content_type": "application/cloudevents-batch+json"}, "body": batch}
    first, second = lines("--message", body=json.dumps(message).encode())
    assert (first["position"], second["position"], first["events"]) == (1, 2, 2)
    assert (first["publisher_id"], second["publisher_id"]) == ("/s1", "/s2")
    message["body"] = [batch[0], event | {"id": "2", "order": 1}]
    bad, good = lines("--message", "-c", config, "-s", "shop", body=json.dumps(message).encode(), code=1)
    assert (bad["quarantined"], bad["position"]) == ("schema_mismatch", 1)
    assert (good["publisher_id"], good["position"]) == ("/s2", 2)


def test_each_hook_is_explained(config):
    found = one("-c", config, "--source", "splynx", body=SPLYNX.read_bytes())
    assert (found["source"], found["time"]) == ("splynx", "2025-03-14T08:26:53Z")
    told = {hook["hook"]: (hook["matches"], hook["decision"]) for hook in found["hooks"]}
    assert told == {
        "all": (True, "match"),
        "shop-only": (False, "other_source"),
        "other-type": (False, "no_pattern"),
        "filtered": (False, "filtered"),
        "missing": (False, "filter_missing_key"),
        "off": (True, "disabled"),
        "paused": (True, "match"),
    }
    reasons = {hook["hook"]: hook["reason"] for hook in found["hooks"]}
    assert reasons["shop-only"] == "listens to shop"
    assert "SKIPPED" in reasons["off"]
    assert "waits in its lane" in reasons["paused"]
    assert "nothing" in reasons["missing"]


@pytest.mark.parametrize(
    "message",
    [{"routing_key": "hooks2"}, {"routing_key": "dlq", "headers": {"x-first-death-queue": "hooks2"}}],
)
def test_the_source_is_known_by_its_queue(config, message):
    body = json.dumps(message | {"body": {"type": "ping"}}).encode()
    found = one("--message", "-c", config, body=body)
    assert (found["source"], found["type"]) == ("splynx", "ping")


def test_without_a_sign_of_its_source_the_sources_are_named(config):
    with pytest.raises(SettingsError, match="splynx, shop"):
        run("-c", config, "-", body=b"{}")
    with pytest.raises(SettingsError, match="did you mean splynx"):
        run("-c", config, "--source", "splinx", "-", body=b"{}")
    with pytest.raises(SettingsError, match="goes with --config"):
        run("--source", "splynx", "-", body=b"{}")


def test_what_would_be_quarantined_ends_with_1(config):
    assert lines("-c", config, "--source", "shop", body=b'{"a":1}', code=1) == [
        {"quarantined": "schema_mismatch", "detail": '$: "order" is a required property'}
    ]
    result = run("-c", config, "--source", "shop", "-", body=b"no json")
    assert (result.exit_code, "schema_mismatch" in result.stdout) == (1, True)
    headers = json.dumps({"headers": {"x": "v" * 100_000}}).encode()
    [refused] = lines("--message", body=headers, code=1)
    assert refused["quarantined"] == "headers_too_large"


@pytest.mark.parametrize(
    ("body", "key", "fault"),
    [
        (b'{"order":7}', "number 7", None),
        (b'{"order":"7"}', "text 7", None),
        (b'{"order":null}', None, None),
        (b'{"order":[7]}', None, "list"),
    ],
)
def test_where_a_publisher_may_send_twice_the_key_is_told(config, body, key, fault):
    found = one("-c", config, "--source", "shop", body=body)
    assert found["dedupe_key"] == key
    assert (fault or "") in found.get("dedupe_fault", "")
    assert ("dedupe_fault" in found) is (fault is not None)
    shown = run("-c", config, "--source", "shop", "-", body=body).stdout
    assert (key or "never a duplicate") in shown
    assert "dedupe_key" not in one("-c", config, "--source", "splynx", body=body)


def test_a_webhook_id_is_that_of_the_running_bridge(config):
    body = json.dumps({"routing_key": "hooks2", "properties": {"message_id": "m"}, "body": {}}).encode()
    first, again = (one("--message", "-c", config, body=body)["webhook_id"] for _ in range(2))
    assert first == again
    assert len(first) == 36


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "splinx"), "--format: no format 'splinx'; did you mean splynx"),
        (("--timezone", "Europe/Nowhere"), "--timezone: 'Europe/Nowhere' is no time zone"),
        (("-c", "/nowhere.yaml"), "no such file"),
    ],
)
def test_options_that_cannot_work_are_told(options, message):
    with pytest.raises(SettingsError, match=message):
        run(*options, "-", body=b"{}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("schema: order.json", "order.json: no such file"),
        ("schema: splinx", "no such file; did you mean splynx"),
        ("schema: bridge.yaml", "bridge.yaml: no JSON: "),
        ("shcema: x", "unknown key; did you mean schema"),
    ],
)
def test_a_schema_that_cannot_be_used_is_told_with_its_place(tmp_path, changes, message):
    file = tmp_path / "bridge.yaml"
    file.write_text("sources: [{name: a, queue: q, " + changes + "}]")
    with pytest.raises(SettingsError, match=message):
        run("-c", str(file), "-", body=b"{}")


def test_a_view_for_people_shows_control_characters_harmlessly(config):
    message = json.dumps({"routing_key": "hooks2", "headers": {"x": "\x1b[2J\u202e"}, "body": "\x1b[31m"})
    result = run("--message", "-c", config, "-", body=message.encode())
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "no_pattern" in result.stdout
    assert "matches" in result.stdout


def test_a_compressed_body_is_shown_decoded():
    body = base64.b64encode(gzip.compress(b'{"a":1}')).decode()
    found = wrapped(properties={"content_encoding": "gzip"}, body_base64=body)
    assert found["data"] == {"a": 1}
