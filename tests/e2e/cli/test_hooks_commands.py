"""Hooks made, changed, switched, tested and deleted from the command line."""

import hmac
import json
import re

import pytest

from tests.e2e.cli.conftest import Operated
from tests.support.endpoint import status
from tests.support.waiting import until

CHOSEN = "whsec_" + "QUJD" * 8
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_hooks_are_listed_as_a_table_and_as_json(operated: Operated):
    told = await operated.run.done("hooks", "list", "--managed-by", "file")
    assert told.lines[0].split()[:2] == ["hook", "id"]
    assert [line.split()[:2] for line in told.lines[1:]] == [["crm", "active"], ["held", "paused"]]
    found = await operated.run.json("hooks", "list", "--state", "paused")
    assert [hook["name"] for hook in found["items"]] == ["held"]
    assert (await operated.run.json("hooks", "show", "crm"))["managed_by"] == "file"
    assert "crm: active" in (await operated.run.done("hooks", "show", "crm")).out


async def test_a_hook_by_options_gets_events_at_once_and_its_secret_is_in_no_answer(operated: Operated):
    url = operated.scene.endpoint.url("/by-options")
    told = await operated.run(
        *("hooks", "create", "--name", "by-options", "--to", url, "--events", "options.*,x.#"),
        *(
            "--profile",
            "splynx",
            "--secret-env",
            "CRM_SECRET",
            "--rate",
            "100/s",
            "--retry",
            "50ms,1s",
            "--json",
        ),
        CRM_SECRET="hidden-hidden-hidden",
    )
    assert told.code == 0, told.err
    assert "hidden-hidden" not in told.out
    made = told.json
    assert (made["events"], made["rate"], made["retry"]["schedule"]) == (["options.*", "x.#"], 100, [0.05, 1])
    operated.scene.made.append(operated.scene.lane(made["id"]))
    await operated.run.done(
        "events", "publish", "--type", "options.now", "--source", "main", "--body", '{"n": 1}'
    )
    received = await until(lambda: operated.scene.endpoint.received("/by-options"))
    assert "X-Splynx-Signature" in received[0].headers


async def test_a_hook_by_options_takes_what_nobody_else_asks_for_until_it_is_said_otherwise(
    operated: Operated,
):
    given = ("--name", "rest", "--unmatched", "--events", "nobody.*", "--queue", "nowhere")
    made = await operated.run.json("hooks", "create", *given)
    operated.scene.made.append(operated.scene.lane(made["id"]))
    assert made["unmatched"] is True
    assert (await operated.run.json("hooks", "update", "rest", "--rate", "5/s"))["unmatched"] is True
    assert (await operated.run.json("hooks", "update", "rest", "--no-unmatched"))["unmatched"] is False
    await operated.run.done("hooks", "delete", "rest", "--yes")


async def test_a_hook_by_file_is_replaced_patched_and_deleted(operated: Operated):
    url = operated.scene.endpoint.url("/by-file")
    text = f"name: by-file\nevents: ['file.*']\ntarget: {{type: webhook, url: '{url}', profile: none}}\n"
    made = await operated.run.json("hooks", "create", "-f", operated.hook_file("hook.yaml", text))
    operated.scene.made.append(operated.scene.lane(made["id"]))
    changed = await operated.run.json("hooks", "update", "by-file", "--concurrency", "3", "--filter", "true")
    assert (changed["concurrency"], changed["filter"], changed["events"]) == (3, "true", ["file.*"])
    whole = json.dumps({"name": "by-file", "target": {"type": "webhook", "url": url, "profile": "none"}})
    replaced = await operated.run.json("hooks", "update", "by-file", "-f", "-", stdin=whole.encode())
    assert (replaced["concurrency"], replaced["events"]) == (16, ["*"])
    patch = operated.hook_file("patch.yaml", "description: for tests\n")
    assert (await operated.run.json("hooks", "update", made["id"], "--patch", patch))[
        "description"
    ] == "for tests"
    assert (await operated.run("hooks", "update", "by-file", "--rate", "1/s", "--if-match", '"0"')).code == 1
    gone = await operated.run.done("hooks", "delete", "by-file", "--lane", "drop")
    assert "deleted; 0 deliveries became FAILED" in gone.out
    assert (await operated.run("hooks", "show", "by-file")).code == 1


async def test_a_file_s_variables_are_the_command_s(operated: Operated):
    url = operated.scene.endpoint.url("/by-variable")
    text = """
hooks:
  - name: by-variable
    events: ['variable.*']
    description: costs $${MUCH}
    target: {type: webhook, url: '${AT}', profile: splynx, secrets: ['${KEY}'], headers: {X-Tenant: 't-${TENANT}'}}
"""
    file = operated.hook_file("variables.yaml", text)
    missing = await operated.run("hooks", "create", "-f", file, AT=url, TENANT="7")
    assert missing.code == 2
    assert "target.secrets[0]: environment variable KEY is not set" in missing.err
    told = await operated.run("hooks", "create", "-f", file, "--json", AT=url, TENANT="7", KEY="k3y-of-crm")
    assert told.code == 0, told.err
    operated.scene.made.append(operated.scene.lane(told.json["id"]))
    assert told.json["description"] == "costs ${MUCH}"
    await operated.run.done("events", "publish", "--type", "variable.now", "--source", "main", "--body", "{}")
    [received] = await until(lambda: operated.scene.endpoint.received("/by-variable"))
    assert received.headers["X-Tenant"] == "t-7"
    signature = hmac.new(b"k3y-of-crm", received.body, "sha1").hexdigest()
    assert signature in received.headers["X-Splynx-Signature"]
    moved = await operated.run("hooks", "update", "by-variable", "--to", "${ELSEWHERE}", ELSEWHERE=url + "/2")
    assert moved.code == 0, moved.err
    await operated.run.done("hooks", "delete", "by-variable", "--yes")


async def test_hooks_are_switched_and_say_so(operated: Operated):
    paused = await operated.run.done("hooks", "pause", "crm", "--reason", "moved")
    assert paused.out == "crm: paused (moved)\n"
    assert "moved" in (await operated.run.done("hooks", "show", "crm")).out
    assert (await operated.run.done("hooks", "resume", "crm")).out == "crm: active\n"
    both = await operated.run.done("hooks", "disable", "-", stdin=b"crm\nheld\n")
    assert both.out == "crm: disabled\nheld: disabled\n"
    lines = (await operated.run.done("hooks", "enable", "crm", "held", "--json")).lines
    assert [json.loads(line)["name"] for line in lines] == ["crm", "held"]


async def test_one_refused_name_does_not_stop_the_others(operated: Operated):
    told = await operated.run("hooks", "resume", "nobody", "crm", "--json")
    assert told.code == 1
    assert [json.loads(line).get("status", "fine") for line in told.lines] == [404, "fine"]
    assert "amqp-bridge hooks list" in told.err


async def test_a_test_event_tells_the_true_outcome_by_exit_code(operated: Operated):
    told = await operated.run("hooks", "test", "crm", "--data", '{"n": 7}')
    assert (told.code, told.lines[0]) == (0, "delivered")
    operated.scene.endpoint.script("/crm", status(500, b"no room"), status(200))
    told = await operated.run("hooks", "test", "crm", "--json")
    assert (told.code, told.json["delivered"], told.json["status_code"]) == (1, False, 500)
    operated.scene.endpoint.script("/crm", status(500, b"no room"), status(200))
    told = await operated.run("hooks", "test", "crm")
    assert told.code == 1
    assert "not delivered" in told.out
    assert "no room" in told.out


async def test_a_secret_is_rotated_and_shown_once(operated: Operated):
    url = operated.scene.endpoint.url("/rotated")
    made = await operated.run.json("hooks", "create", "--name", "rotated", "--to", url, "--events", "none.*")
    told = await operated.run.done("hooks", "rotate-secret", "rotated", "--keep", "1h")
    secret = re.search(r"whsec_\S+", told.out)
    assert secret
    assert "The new secret signs alone from now on." in told.out
    own = await operated.run("hooks", "rotate-secret", "rotated", "--secret-env", "NEW", "--json", NEW=CHOSEN)
    assert own.json["secret"] == CHOSEN
    assert "sign together until" in own.json["explanation"]
    last = await operated.run.json("hooks", "rotate-secret", "rotated", "--now")
    assert last["expires_at"] is None
    assert CHOSEN not in (await operated.run.done("hooks", "show", made["id"], "--json")).out
    await operated.run.done("hooks", "delete", "rotated", "--yes")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["create", "--name", "Bad!", "--to", "http://h/"], 2, "name: "),
        (["create", "--name", "x", "--to", "http://h/", "--queue", "q"], 2, "--queue: goes not with --to"),
        (["create"], 2, "give a hook with -f FILE, or by options"),
        (["create", "-f", "none.yaml"], 2, "none.yaml: cannot be read"),
        (["create", "--name", "crm", "--to", "http://127.0.0.1/"], 1, "409 Conflict"),
        (["update", "crm", "--rate", "1/s"], 1, "managed by the file"),
        (["delete", "crm"], 1, "managed by the file"),
        (["show", "../../tokens"], 1, "404 Not Found"),
        (["show", ".."], 1, "404 Not Found"),
        (["pause"], 2, "give a hook"),
        (["rotate-secret", "x", "--now", "--keep", "1h"], 2, "--now: goes not with --keep"),
        (["delete", "crm", "--lane", "burn"], 2, "--lane"),
        (["test", "crm", "--data", "{"], 2, "--data: no JSON"),
    ],
)
async def test_what_is_wrong_is_named_and_told_by_exit_code(
    operated: Operated, arguments: list[str], code: int, said: str
):
    told = await operated.run("hooks", *arguments)
    assert (told.code, told.out) == (code, ""), told.err
    assert said in told.err
    assert "Traceback" not in told.err


async def test_a_malformed_hook_names_each_field(operated: Operated):
    text = "name: x\nevents: ['a..b']\nconcurrency: 0\ntarget: {type: webhook, url: 'ftp://h'}\n"
    told = await operated.run("hooks", "create", "-f", "-", stdin=text.encode())
    assert told.code == 2
    assert "request id: " in told.err
    assert "concurrency: " in told.err
    told = await operated.run("hooks", "create", "-f", "-", "--json", stdin=text.encode())
    assert told.code == 2
    assert told.json["status"] == 422


async def test_names_are_completed_from_the_running_bridge(operated: Operated):
    async def offered(line: str) -> list[str]:
        place = str(len(line.split(" ")) - 1)
        told = await operated.run(_AMQP_BRIDGE_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place)
        assert (told.code, told.err) == (0, "")
        return told.out.split()

    assert await offered("amqp-bridge hooks pause cr") == ["crm"]
    assert await offered("amqp-bridge deliveries list --hook h") == ["held"]
    assert await offered("amqp-bridge deliveries list --status S") == ["SUCCESS", "SKIPPED"]
    assert await offered("amqp-bridge tokens create x --role o") == ["operator"]
    assert "customers.customer.create" in await offered("amqp-bridge events list --type customers.customer.c")
