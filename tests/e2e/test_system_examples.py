"""Each system's example, followed by hand: the publisher's bytes in, the receiver's own verification out."""

from pathlib import Path

import pytest
import yaml

from devtools.project import ROOT
from tests.support.reader import adjusted
from tests.support.walkthrough import Shell, blocks, section

pytestmark = pytest.mark.timeout(120)

EXAMPLES = ROOT / "examples"
# what the receiver tells of each request, and what the history has at last: type, hook, status, identity
SYSTEMS = {
    "splynx": (
        ["200  ok  /portal", "200  ok  /form"],
        [
            "customers.customer.create|portal|SUCCESS|",
            "customers.customer.create|portal-form|SUCCESS|",
            "customers.customer.create|welcome|SUCCESS|",
        ],
    ),
    "phlix": (
        ["200  playback.ended at 2025-06-01T18:30:00+00:00  /phlix  253 bytes"],
        ["playback.ended|subscriber|SUCCESS|phlix-server"],
    ),
    "plinqx": (
        ["200  invocation.completed  /plinqx  271 bytes"],
        ["invocation.completed|subscriber|SUCCESS|plinqx-server"],
    ),
    "tiki": (
        ["200  ok  /tiki-webhooks.php  200 bytes"],
        ["tiki.webhook.received|handler|SUCCESS|crm-bot", "tiki.webhook.received|wiki|SUCCESS|crm-bot"],
    ),
    "cockpit": (
        [
            "200  collections.save.after with 3 arguments  /build",
            "200  content_updated with 2 arguments  /purge",
        ],
        ["collections.save.after|deploy|SUCCESS|cockpit", "collections.save.after|cache|SUCCESS|cockpit"],
    ),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_example_of_a_system_works_by_hand(system: str, reader: Shell, adjust: dict[str, str]) -> None:
    told, known = SYSTEMS[system]
    document = (EXAMPLES / system / "README.md").read_text(encoding="utf-8")
    check, start, feed, look, stop = (
        adjusted(step, adjust) for step in blocks(section(document, "## By hand"))
    )
    assert "bridge.yaml: OK" in reader.follow(check)
    reader.follow(start)
    reader.await_text("listening on ")
    reader.await_text("bridge.started")
    said = reader.follow(feed)
    assert system == "splynx" or "200 ok" in said.splitlines()
    done = f"SELECT count(*) = {len(known)} AND total(status = 'SUCCESS') = {len(known)} FROM deliveries"
    reader.run(f'until [ "$(sqlite3 bridge.db "{done}")" = 1 ]; do sleep 0.1; done')
    assert sorted(line for line in reader.follow(look).splitlines() if "|" in line) == sorted(known)
    lines = [" ".join(line.split()) for line in reader.said.splitlines()]
    for line in told:
        assert any(each.startswith(" ".join(line.split())) for each in lines), reader.said
    reader.follow(stop)
    reader.run("wait $BRIDGE $RECEIVER")


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_receiver_of_an_example_refuses_what_was_changed(system: str, tmp_path: Path) -> None:
    answer = _functions(EXAMPLES / system / "receiver.py")["answer"]
    body = (EXAMPLES / system / "event.json").read_bytes().replace(b'"type":""', b'"type":"event"')
    assert answer({"content-type": "application/json"}, body, "user:secret")[0] in {401, 403}
    if system == "splynx":
        assert answer({"content-type": "application/json"}, b'{"type":"ping"}', "secret") == (200, "ok")
        spelled = {"content-type": "application/json; charset=utf-8"}
        assert answer(spelled, b'{"type":"ping"}', "secret")[0] == 400
        return
    path, headers, body = _functions(EXAMPLES / system / "sender.py")["request"]("user:secret")
    assert path.startswith("/")
    lower = {name.lower(): value for name, value in headers.items()}
    assert answer(lower, body, "user:secret")[0] == 200
    assert answer(lower, body, "user:other")[0] in {401, 403}
    if system != "cockpit":
        assert answer(lower, body[:-1] + b" ", "user:secret")[0] in {401, 403}


def _functions(file: Path) -> dict:
    import runpy

    return runpy.run_path(str(file))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_example_asks_for_a_queue_without_arguments(system: str) -> None:
    settings = yaml.safe_load((EXAMPLES / system / "bridge.yaml").read_text(encoding="utf-8"))
    assert [set(source) <= {"name", "queue", "format", "timezone"} for source in settings["sources"]] == [
        True
    ]
