"""What is wrong with a hook's target is said at once, with its path."""

from pathlib import Path
from typing import Any

import pytest

from bridge.core.errors import SettingsError
from bridge.core.hook import Hook
from bridge.targets.factory import Targets
from tests.support.publisher import MemoryPublisher

URL = "https://example.net/in"


def hook(**target: Any) -> Hook:
    return Hook.model_validate({"name": "crm", "target": target})


def factory(directory: Path = Path("/")) -> Targets:
    return Targets({"": MemoryPublisher(), "other": MemoryPublisher()}, [], directory, lambda _: None)


@pytest.mark.parametrize(
    ("signing", "field", "says"),
    [
        ({"profile": "generic", "signature": {"algorithm": "nope"}}, "algorithm", "nope"),
        ({"profile": "generic", "signature": {"template": "{nope}"}}, "template", "nope"),
        ({"profile": "generic", "signature": {"prefix": "a\nb"}}, "prefix", "line break"),
        ({"profile": "generic", "signature": {"id_header": "X-Signature"}}, "id_header", "same name"),
        ({"profile": "tiki", "signature": {"header": "X Y"}}, "header", "no header name"),
        ({"profile": "stripe", "signature": {"header": "Host"}}, "header", "HTTP client"),
        ({"profile": "stripe", "signature": {"encoding": "hex"}}, "encoding", "cannot be chosen"),
        ({"profile": "none", "signature": {"algorithm": "md5"}}, "algorithm", "cannot be chosen"),
        (
            {
                "profile": "tiki",
                "signature": {"header": "authorization"},
                "auth": {"type": "bearer", "token": "t"},
            },
            "header",
            "cannot both",
        ),
    ],
)
@pytest.mark.parametrize("secrets", [["s"], [""]])
def test_the_option_of_a_signature_that_cannot_work_is_named(
    signing: dict[str, Any], field: str, says: str, secrets: list[str]
) -> None:
    found = factory().problems(hook(type="webhook", url=URL, secrets=secrets, **signing))
    (problem,) = [problem for problem in found if problem.path.startswith("target.signature")]
    assert problem.path == f"target.signature.{field}"
    assert says in problem.message


@pytest.mark.parametrize(
    ("target", "path", "says"),
    [
        ({"type": "webhook", "url": "ftp://x/"}, "target.url", "only http"),
        ({"type": "webhook", "url": URL, "proxy": "socks5://x"}, "target.proxy", "only http"),
        ({"type": "webhook", "url": URL, "secrets": ["?"]}, "target.secrets", "base64"),
        ({"type": "webhook", "url": URL, "profile": "splynx"}, "target.secrets", "needs a secret"),
        ({"type": "webhook", "url": URL, "headers": {"Webhook-Id": "x"}}, "target.headers", "replaced"),
        ({"type": "webhook", "url": URL, "headers": {"Host": "x"}}, "target.headers", "HTTP client"),
        (
            {
                "type": "webhook",
                "url": URL,
                "profile": "generic",
                "secrets": ["s"],
                "signature": {"header": "X-Sig", "timestamp_header": "X-Time"},
                "headers": {"x-time": "1"},
            },
            "target.headers",
            "x-time is set by the profile",
        ),
        (
            {
                "type": "webhook",
                "url": URL,
                "profile": "generic",
                "secrets": ["s"],
                "signature": {"timestamp_header": "X-T", "id_header": "x-t"},
            },
            "target.signature",
            "same name",
        ),
        (
            {
                "type": "webhook",
                "url": URL,
                "profile": "cockpit",
                "secrets": ["user:password"],
                "auth": {"type": "bearer", "token": "t"},
            },
            "target.secrets",
            "give one of them",
        ),
        (
            {"type": "webhook", "url": URL, "body": "template", "template": "{{ nope.x }}"},
            "target.template",
            "nope",
        ),
        ({"type": "webhook", "url": URL, "auth": {"type": "oauth2"}}, "target.auth.token_url", "needs"),
        ({"type": "webhook", "url": URL, "auth": {"type": "bearer"}}, "target.auth.token", "token"),
        ({"type": "webhook", "url": URL, "auth": {"type": "basic"}}, "target.auth.username", "username"),
        ({"type": "webhook", "url": URL, "tls": {"ca_bundle": "/no/such"}}, "target.tls", "/no/such"),
        ({"type": "webhook", "url": URL, "tls": {"client_key": "/k"}}, "target.tls", "client_cert"),
        ({"type": "webhook", "url": URL, "success": []}, "target.success", "nothing"),
        ({"type": "script", "command": ["a\0b"]}, "target.command", "NUL"),
        ({"type": "script", "command": [""]}, "target.command", "no name"),
        ({"type": "script", "command": ["true"], "env": {"A=B": "c"}}, "target.env", "no name"),
        ({"type": "script", "command": ["true"], "env": {"A": "\0"}}, "target.env", "NUL"),
        ({"type": "script", "command": ["true"], "user": "no-such-user"}, "target.user", "no user"),
        ({"type": "queue", "queue": "q", "broker": "third"}, "target.broker", "no broker 'third'"),
        ({"type": "queue", "queue": "q", "headers": {"CC": "x"}}, "target.headers", "CC"),
        ({"type": "queue", "queue": "q", "headers": {"x-bridge-hops": "0"}}, "target.headers", "hops"),
        ({"type": "queue", "queue": "ü" * 200}, "target.queue", "255"),
    ],
)
def test_a_setting_that_cannot_work_is_named(target: dict[str, Any], path: str, says: str) -> None:
    (problem, *_) = factory().problems(hook(**target))
    assert problem.path == path
    assert says in problem.message
    with pytest.raises(SettingsError) as caught:
        factory().build(hook(**target))
    assert problem in caught.value.problems


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = hook(type="webhook", url="ftp://x/", profile="github", auth={"type": "bearer"}, success=[])
    assert [problem.path for problem in factory().problems(wrong)] == [
        "target.url",
        "target.secrets",
        "target.auth.token",
        "target.success",
    ]


@pytest.mark.parametrize(
    "target",
    [
        {"type": "webhook", "url": URL},
        {"type": "webhook", "url": "http://9.9.9.9/", "headers": {"Authorization": "Own x"}},
        {"type": "script", "command": ["true"], "cwd": "/"},
        {"type": "queue", "exchange": "x", "routing_key": "y", "broker": "other"},
    ],
)
async def test_what_can_work_has_no_problem_and_is_built(target: dict[str, Any]) -> None:
    made = factory()
    assert made.problems(hook(**target)) == []
    assert made.build(hook(**target))
    await made.close()


@pytest.mark.parametrize(
    ("command", "prepare", "says"),
    [
        ("./gone.sh", None, "there is no file {directory}/gone.sh; write its whole path"),
        ("./here", "directory", "{directory}/here is a folder; name the program in it"),
        ("./here", "file", "{directory}/here is not executable; run: chmod 755 {directory}/here"),
        ("no-such-program", None, "no program 'no-such-program' in PATH"),
        ("here", "file", "for {directory}/here write ./here"),
    ],
)
def test_a_program_that_is_not_there_is_a_problem_but_no_reason_not_to_start(
    command: str, prepare: str | None, says: str, tmp_path: Path
) -> None:
    if prepare == "directory":
        (tmp_path / "here").mkdir()
    elif prepare == "file":
        (tmp_path / "here").write_text("#!/bin/sh\n")
    wanted = hook(type="script", command=[command])
    (problem,) = factory(tmp_path).problems(wanted)
    assert problem.path == "target.command"
    assert says.format(directory=tmp_path) in problem.message
    assert factory(tmp_path).build(wanted)


def test_a_directory_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (problem,) = factory(tmp_path).problems(hook(type="script", command=["true"], cwd="gone"))
    assert (problem.path, problem.message) == (
        "target.cwd",
        f"{tmp_path}/gone is no directory; create it or change `cwd`",
    )


def test_an_allow_list_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"http.allow_private_targets: .*10.0.0.1/8"):
        Targets({}, ["10.0.0.1/8"], Path("/"), lambda _: None)
