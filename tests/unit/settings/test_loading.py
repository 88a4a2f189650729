"""What the configuration file says, and what is said about a wrong one."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bridge.core.errors import SettingsError
from bridge.core.target import ScriptTarget, WebhookTarget
from bridge.settings.loading import load
from bridge.settings.tree import Settings

WRITTEN = """
broker:  {url: "amqp://guest:guest@127.0.0.1:5672/", prefix: bridge, topology: create, consumer_timeout: 30m}
storage: {url: "sqlite:///bridge.db", retention: 7d, keep: all}
http:    {listen: "127.0.0.1:8080", admin_listen: null, admin_token: "${BRIDGE_ADMIN_TOKEN}",
          allow_private_targets: ["127.0.0.0/8"]}
sources: [{name: splynx, queue: hooks2, format: splynx, timezone: Europe/Prague, prefetch: 500}]
hooks:
  - name: crm
    sources: [splynx]
    events: ["customers.*"]
    rate: 30/m
    target: {type: webhook, url: "https://crm.example.net/in", profile: splynx, secrets: ["${CRM_SECRET}"]}
"""
SOURCE_AND_HOOK = """
sources: [{name: splynx, queue: hooks2}]
hooks:
  - name: crm
    target: {type: script, command: [a]}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes bridge.yaml into the current folder and gives its relative path."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        Path("bridge.yaml").write_text(text, encoding="utf-8")
        return Path("bridge.yaml")

    return write


def said(path: Path | None, env: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, env or {})
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "hint"),
    [("retry: splynx", "hooks[0].retry: expected a mapping, got text; did you mean preset: splynx?")],
)
def test_a_value_without_its_key_is_told_the_key(write: Write, written: str, hint: str):
    [problem] = said(write(SOURCE_AND_HOOK + f"    {written}\n"))
    assert problem.endswith(hint)


def test_the_written_form_of_the_design_is_understood(write: Write):
    settings = load(write(WRITTEN), {"CRM_SECRET": "s3cret"})
    assert settings.broker.consumer_timeout == 1800
    assert settings.storage.retention == 7 * 86_400
    assert str(settings.http.allow_private_targets[0]) == "127.0.0.0/8"
    hook = settings.hooks[0]
    assert hook.rate == pytest.approx(0.5)
    assert isinstance(hook.target, WebhookTarget)
    assert hook.target.secrets[0].get_secret_value() == "s3cret"


def test_without_file_and_environment_all_defaults_hold():
    assert load(None, {}) == Settings()


def test_an_unset_admin_token_is_none(write: Write):
    assert load(write('http: {admin_token: "${BRIDGE_ADMIN_TOKEN}"}'), {}).http.admin_token is None


@pytest.mark.parametrize("token", ["", "  "])
def test_an_empty_admin_token_is_none(write: Write, token: str):
    path = write('http: {admin_token: "${BRIDGE_ADMIN_TOKEN}"}')
    assert load(path, {"BRIDGE_ADMIN_TOKEN": token}).http.admin_token is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "bridge.yaml: holds no settings"),
        ("# nothing\n", "bridge.yaml: holds no settings"),
        ("- a\n", "bridge.yaml: must be a mapping of sections such as `broker:`"),
        ("a: [1\nb: 2", "bridge.yaml:2:2: no valid YAML: while parsing a flow sequence, expected ',' or ']', but got ':'"),
        ("log: {level: !!python/name:os.system x}", "bridge.yaml:1:14: no valid YAML: unknown tag tag:yaml.org,2002:python/name:os.system"),
        ("a: *secret", 'bridge.yaml:1:4: no valid YAML: found undefined alias; a text that begins with * stands in quotes: "*"'),
        ("a: !secret x", 'bridge.yaml:1:4: no valid YAML: unknown tag; a text that begins with ! stands in quotes: "!"'),
        ("a: &a [*a]", "bridge.yaml:1:4: no valid YAML: an alias that holds itself"),
        ("a: b\n\x07", "bridge.yaml:2: no valid YAML: the character U+0007 is not allowed"),
        ("[" * 1500, "bridge.yaml: nested too deeply"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_configuration_gives_one_problem(write: Write, text: str, problem: str):
    assert said(write(text)) == [problem]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("hooks: [{events: *}]", 'a text that begins with * stands in quotes: "*"'),
        ("hooks:\n- events: [*.create]", 'a text that begins with * stands in quotes: "*"'),
        ("hooks:\n- events: *create\n", 'a text that begins with * stands in quotes: "*"'),
        ("hooks:\n- title: {{ event.type }}", 'a text that begins with {{ stands in quotes: "{{ event.type }}"'),
        ("hooks:\n- filter: a == 'b: c'", "a text with a colon and a blank in it stands in quotes"),
    ],
)  # fmt: skip
def test_texts_that_yaml_takes_for_something_else_are_told_to_be_quoted(write: Write, text: str, hint: str):
    (problem,) = said(write(text))
    assert problem.endswith(f"; {hint}")


def test_aliases_cannot_make_a_file_explode(write: Write):
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "aliases make it too large" in said(write("\n".join(lines)))[0]


def test_a_missing_file_is_named():
    assert said(Path("/nowhere/bridge.yaml")) == ["/nowhere/bridge.yaml: no such file"]


def test_a_folder_is_no_file(tmp_path: Path):
    assert said(tmp_path) == [f"{tmp_path}: is a folder, not a file"]


def test_a_file_that_is_not_utf8_is_named_with_the_byte(tmp_path: Path):
    path = tmp_path / "b.yaml"
    path.write_bytes(b"a: \xff")
    assert said(path) == [f"{path}: not UTF-8 text (byte 4)"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_is_named(tmp_path: Path):
    path = tmp_path / "b.yaml"
    path.touch(mode=0)
    assert said(path) == [f"{path}: may not be read by this user"]


def test_a_byte_order_mark_is_no_part_of_the_first_key(write: Write):
    assert load(write("\ufefflog: {level: debug}"), {}).log.level == "debug"


HOOK = "hooks: [{name: a, target: {type: script, command: [x]}, %s}]"
TARGET = "hooks: [{name: a, target: {%s}}]"
WEBHOOK = "hooks: [{name: a, target: {type: webhook, url: u, %s}}]"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("htp: {}", "htp: unknown key; did you mean http?"),
        ("log: {level: loud}", "log.level: expected one of debug, info, warning, error; got 'loud'"),
        ("log: 5", "log: expected a mapping, got 5"),
        ("broker: {heartbeat: 0}", "broker.heartbeat: must be at least 1, not 0"),
        ("broker: {heartbeat: nan}", "broker.heartbeat: expected a finite number, got nan"),
        ("broker: {heartbeat: soon}", "broker.heartbeat: 'soon' is no duration; write for example 15s, 5m, 2h30m or 7d"),
        ("broker: {prefix: a b}", "broker.prefix: 'a b' does not match ^[A-Za-z0-9_.-]{1,64}$"),
        ("broker: {url: []}", "broker.url: must have at least 1 entry"),
        ("broker: {tls: {key: k}}", "broker.tls: `key` needs `cert`"),
        ("broker: {auth: external, url: 'amqps://b', tls: {}}", "broker.auth: external needs `tls.cert`, the certificate that says who the bridge is"),
        ("brokers: {far: {auth: external, url: 'amqp://b', tls: {cert: c}}}", "brokers.far.auth: external needs amqps:// in every `url`: a certificate is shown over TLS only"),
        ("broker: {auth: oauth2}", "broker.auth: oauth2 needs `oauth2` with `token_url`, `client_id` and `client_secret`"),
        ("broker: {oauth2: {token_url: u, client_id: i}}", "broker.oauth2: is used with `auth: oauth2` only"),
        ("storage: {url: 'postgresql://h/d?sslmode=require', tls: {ca: c}}", "storage.tls: give either `sslmode` in `url` or `tls`, not both"),
        ("storage: {tls: {mode: off, ca: c}}", "storage.tls.mode: off leaves no use for the other settings of `tls`"),
        ("limits: {open_deliveries: 1.5}", "limits.open_deliveries: expected a whole number, got 1.5"),
        ("history: {min_wait: 2s}", "history.min_wait: must be at most 1, not 2"),
        ("telemetry: {traces: {sample: 2}}", "telemetry.traces.sample: must be at most 1, not 2"),
        ("telemetry: {traces: {endpoint: 'collector:4318'}}", "telemetry.traces.endpoint: no URL such as http://collector:4318"),
        ("telemetry: {traces: {endpoint: 'http://u:p@c'}}", "telemetry.traces.endpoint: a URL is shown; put credentials into the variable OTEL_EXPORTER_OTLP_HEADERS"),
        ("http: {listen: 8080}", "http.listen: expected text, got 8080; put it in quotes"),
        ("http: {listen: 'a:99999'}", "http.listen: 'a:99999' is no address to listen on; write for example 127.0.0.1:8080 or [::1]:8080"),
        ("http: {allow_private_targets: [10.0.0.1/8]}", "http.allow_private_targets[0]: value is not a valid IPv4 or IPv6 network"),
        ("inlets: [{name: tiki, path: /x}]", "inlets[0].source: is missing"),
        ("sources: [{name: a, queue: %s}]" % ("ž" * 128), "sources[0].queue: a queue name has at most 255 bytes in UTF-8"),
        ("sources: [{queue: a}]", "sources[0].name: is missing"),
        ("sources: [{name: a, queue: a, timezone: Europe/Prag}]", "sources[0].timezone: 'Europe/Prag' is no time zone name such as Europe/Prague"),
        (HOOK % "concurency: 3", "hooks[0].concurency: unknown key; did you mean concurrency?"),
        (HOOK % "retry: {preset: none, schedule: [1s]}", "hooks[0].retry: give either `preset` or `schedule`, not both"),
        ("hooks: [5]", "hooks[0]: expected a mapping, got 5"),
        (TARGET % "url: u", "hooks[0].target.type: is missing; one of webhook, script, queue, notify"),
        (TARGET % "type: webhok", "hooks[0].target.type: expected one of webhook, script, queue, notify; got 'webhok'; did you mean webhook?"),
        (TARGET % "type: queue, queue: a, exchange: b", "hooks[0].target: give either `queue`, or `exchange` and `routing_key`"),
        (TARGET % "type: queue, queue: [b]", "hooks[0].target.queue: expected text, got a list"),
        (TARGET % "type: script, command: ls -l", "hooks[0].target.command: expected a list, got text; write for example [a, b]"),
        (TARGET % "type: script, command: [x], exit_codes: {9: huh}", "hooks[0].target.exit_codes[9]: expected one of success, retry, fail; got 'huh'"),
        (WEBHOOK % "timout: 5s", "hooks[0].target.timout: unknown key; did you mean timeout?"),
        (WEBHOOK % "auth: {type: basic, pasword: x}", "hooks[0].target.auth.pasword: unknown key; did you mean password?"),
        ("1: x", "[1]: a key must be text, not 1"),
        ("~: x", "None: a key must be text, not 'None'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_by_path_with_what_was_expected(write: Write, text: str, problem: str):
    assert said(write(text)) == [f"bridge.yaml:1: {problem}"]


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("https://collector/", "https://collector/v1/traces"),
        ("https://collector/otlp/traces", "https://collector/otlp/traces"),
    ],
)
def test_the_endpoint_of_traces_has_the_path_of_the_protocol_unless_it_has_one(
    write: Write, written: str, endpoint: str
):
    traces = load(write(f"telemetry: {{traces: {{endpoint: '{written}'}}}}"), {}).telemetry.traces
    assert (traces.enabled, traces.endpoint) == (False, endpoint)


def test_every_problem_is_told_at_once_in_the_order_of_the_file(write: Write):
    problems = said(write("log:\n  level: x\n  lvl: y\nbroker:\n  prefix: ''\nhtp: 1\n"))
    assert [problem.split(": ")[0] for problem in problems] == [f"bridge.yaml:{n}" for n in (2, 3, 5, 6)]


def test_a_key_given_twice_is_refused_with_both_lines(write: Write):
    text = "log:\n  level: info\n  level: debug\n"
    assert said(write(text)) == ["bridge.yaml:3: log.level: given twice, first on line 2"]


def test_a_merged_mapping_may_be_overridden(write: Write):
    text = """
hooks:
  - &first {name: a, target: {type: script, command: [x]}, concurrency: 3}
  - {<<: *first, name: b}
  - {<<: *first, name: c, concurrency: 4}
"""
    assert [hook.concurrency for hook in load(write(text), {}).hooks] == [3, 3, 4]


def test_plain_scalars_mean_what_they_look_like(write: Write):
    text = "hooks: [{name: no, target: {type: script, command: [yes, 1e, 2024-01-01, 1:30]}, enabled: yes}]"
    hook = load(write(text), {}).hooks[0]
    assert hook.name == "no"
    assert hook.enabled is True
    assert isinstance(hook.target, ScriptTarget)
    assert hook.target.command == ["yes", "1e", "2024-01-01", "1:30"]


def test_names_are_unique(write: Write):
    text = SOURCE_AND_HOOK.replace("}]", "}, {name: splynx, queue: b}]") + (
        "  - name: crm\n    target: {type: script, command: [b]}\n"
    )
    assert said(write(text)) == [
        "bridge.yaml:2: sources[1].name: 'splynx' is already the name of sources[0]",
        "bridge.yaml:6: hooks[1].name: 'crm' is already the name of hooks[0]",
    ]


def test_two_sources_cannot_share_a_queue(write: Write):
    problems = said(write("sources: [{name: a, queue: q}, {name: b, queue: q}]"))
    assert problems == ["bridge.yaml:1: sources[1].queue: 'q' is already the queue of sources[0]"]


def test_the_name_and_the_queue_of_the_bridges_own_events_are_taken(write: Write):
    text = "sources: [{name: bridge, queue: q}, {name: b, queue: own.events}]\nbroker: {prefix: own}"
    assert said(write(text)) == [
        "bridge.yaml:1: sources[0].name: 'bridge' is the name of the bridge's own events; give this source another one",
        "bridge.yaml:1: sources[1].queue: 'own.events' is the queue of the bridge's own events",
    ]


def test_a_hook_may_listen_to_the_bridges_own_events(write: Write):
    assert load(write(f"{SOURCE_AND_HOOK}    sources: [bridge]\n"), {}).hooks[0].sources == ["bridge"]


def test_an_unknown_source_of_a_hook_names_the_nearest(write: Write):
    problems = said(write(f"{SOURCE_AND_HOOK}    sources: [splinx]\n"))
    assert problems == ["bridge.yaml:6: hooks[0].sources[0]: no source 'splinx'; did you mean splynx?"]


def test_an_unknown_broker_of_a_target_names_the_nearest(write: Write):
    text = "brokers: {billing: {url: 'amqp://b'}}\n" + TARGET % "type: queue, queue: q, broker: biling"
    problems = said(write(text))
    assert problems == [
        "bridge.yaml:2: hooks[0].target.broker: no broker 'biling' under `brokers`; did you mean billing?"
    ]


def test_a_variable_that_is_not_set_is_named_with_the_path(write: Write):
    assert said(write(WRITTEN)) == [
        "bridge.yaml:12: hooks[0].target.secrets[0]: environment variable CRM_SECRET is not set"
    ]


def test_variables_are_filled_in_once_and_can_be_escaped(write: Write):
    text = TARGET % "type: script, command: ['${A}/$${A}/$A', '$${A:-x}']"
    target = load(write(text), {"A": "${B}"}).hooks[0].target
    assert isinstance(target, ScriptTarget)
    assert target.command == ["${B}/${A}/$A", "${A:-x}"]


def test_a_variable_with_more_than_a_name_is_refused(write: Write):
    problems = said(write(TARGET % "type: script, command: ['${A:-x}']"))
    message = "${A:-x} names no environment variable; write $${A:-x} for that text itself"
    assert problems == [f"bridge.yaml:1: hooks[0].target.command[0]: {message}"]


def test_a_number_may_come_from_a_variable(write: Write):
    settings = load(
        write('broker: {heartbeat: "${BEAT}"}\nlimits: {open_deliveries: "${N}"}'), {"BEAT": "20s", "N": "7"}
    )
    assert (settings.broker.heartbeat, settings.limits.open_deliveries) == (20, 7)
