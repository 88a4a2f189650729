"""`amqp-bridge inspect` as a program of its own: no broker, no database."""

import json
from pathlib import Path

from tests.support.command import amqp_bridge

CONFIG = """
broker: {url: "amqp://127.0.0.1:1/"}
storage: {url: "${DATABASE_URL}"}
sources: [{name: splynx, queue: hooks2, format: splynx, timezone: Europe/Prague, schema: splynx}]
hooks:
  - name: crm
    events: ["customers.#"]
    target: {type: webhook, url: "${CRM_URL}", profile: splynx, secrets: ["${CRM_SECRET}"]}
  - name: billing
    events: ["finance.#"]
    target: {type: script, command: [./not-here.sh]}
"""
EVENT = {
    "type": "",
    "call": "",
    "data": {
        "model": "models\\admin\\customers\\Customer",
        "action": "create",
        "date": "2025-03-14",
        "time": "09:26:53",
    },
}


def test_a_message_is_explained_without_its_secrets_broker_or_database(tmp_path: Path):
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    message = {"routing_key": "hooks2", "properties": {"message_id": "m-1"}, "body": EVENT}
    (tmp_path / "message.json").write_text(json.dumps(message))
    arguments = ("inspect", "--json", "--message", "-c", "bridge.yaml", "message.json")
    ended = amqp_bridge(*arguments, cwd=tmp_path)
    assert (ended.code, ended.err, ended.out.count("\n")) == (0, "", 1)
    found = json.loads(ended.out)
    assert (found["format"], found["type"]) == ("splynx", "customers.customer.create")
    assert (found["publisher_id"], found["time"]) == ("m-1", "2025-03-14T08:26:53Z")
    assert [(hook["hook"], hook["matches"]) for hook in found["hooks"]] == [("crm", True), ("billing", False)]


def test_what_does_not_fit_is_told_and_ends_with_1(tmp_path: Path):
    (tmp_path / "bridge.yaml").write_text(CONFIG)
    ended = amqp_bridge("inspect", "--json", "-c", "bridge.yaml", "-", cwd=tmp_path, stdin=b'{"data": 5}')
    assert (ended.code, ended.err) == (1, "")
    assert json.loads(ended.out) == {
        "quarantined": "schema_mismatch",
        "detail": '$.data: 5 is not of type "object"',
    }


def test_a_message_that_is_none_and_wrong_usage_end_with_2(tmp_path: Path):
    ended = amqp_bridge("inspect", "--message", "-", cwd=tmp_path, stdin=b"{")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: standard input: no JSON: line 1")
    assert amqp_bridge("inspect", "nowhere.json", cwd=tmp_path).code == 2


def test_the_help_teaches_by_examples(tmp_path: Path):
    ended = amqp_bridge("inspect", "--help", cwd=tmp_path)
    assert ended.code == 0
    assert "amqp-bridge inspect --json --message message.json" in ended.out
    assert '"routing_key": "hooks2"' in ended.out
