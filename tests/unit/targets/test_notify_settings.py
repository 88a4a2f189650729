"""What is wrong with a notify target is said with its place, and without its secrets."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.core.errors import SettingsError
from bridge.core.hook import Hook
from bridge.targets.factory import Targets, unreachable
from bridge.targets.notify.services import service
from bridge.wire.address_gate import AddressGate
from tests.support.notifying import settings
from tests.support.publisher import MemoryPublisher

SECRET = "s3cr3tT0ken"
GOOD = f"ntfys://ntfy.example.net/{SECRET}"


def hook(**target: Any) -> Hook:
    return Hook.model_validate({"name": "ops", "target": {"type": "notify", "urls": [GOOD], **target}})


def factory() -> Targets:
    return Targets({"": MemoryPublisher()}, [], Path("/"), lambda _: None)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (SECRET, "not an Apprise URL"),
        ("", "not an Apprise URL"),
        (f"syslog://{SECRET}", "does not notify by syslog://"),
        ("dbus://", "does not notify by dbus://"),
        ("windows://", "does not notify by windows://"),
        (f"file:///etc/{SECRET}", "does not notify by file://"),
        (f"amqp://joe:{SECRET}@127.0.0.1/q", "does not notify by amqp://"),
        (f"discord://{SECRET}", "discord://"),
        (f"tgram://{SECRET}/1", "tgram://"),
        (f"mailto://{SECRET}", "mailto://"),
        (f"https://example.net/{SECRET}", "write jsons:// for a plain endpoint"),
        (f"slack://A/{SECRET}", "slack://"),
        (f"discord://1234567890/{SECRET * 4}?template=/etc/passwd", "the option `template` of discord://"),
        (f"json://h:99999/{SECRET}", "they go from 1 to 65535"),
        (f"mqtt://joe:{SECRET}@example.net", "mqtt:// needs a topic"),
        (f"mailto://joe:{SECRET}@example.net?pgp=yes", "the option `pgp` of mailto://"),
        (f"ntfy://h/{SECRET}?attach=file:///etc/passwd", "the option `attach` of ntfy://"),
    ],
)
def test_a_url_that_cannot_work_is_named_by_its_place_only(url: str, says: str) -> None:
    (problem,) = factory().problems(hook(urls=[GOOD, url]))
    assert problem.path == "target.urls[1]"
    assert says in problem.message
    assert SECRET not in str(problem)
    with pytest.raises(SettingsError) as caught:
        factory().build(hook(urls=[GOOD, url]))
    assert caught.value.problems == [problem]


@pytest.mark.parametrize(
    ("target", "path", "says"),
    [
        ({"title": "{{ event.nothing }}"}, "target.title", "nothing"),
        ({"body": "{{ event."}, "target.body", ""),
        (
            {"endpoints": {"json": "http://x"}},
            "target.endpoints",
            "'json' takes no base URL; these do: discord",
        ),
        ({"endpoints": {"tgram": "ftp://x"}}, "target.endpoints", "tgram: only http:// and https://"),
    ],
)
def test_a_setting_that_cannot_work_is_named(target: dict[str, Any], path: str, says: str) -> None:
    (problem,) = factory().problems(hook(**target))
    assert problem.path == path
    assert says in problem.message


@pytest.mark.parametrize(
    ("target", "path", "says"),
    [
        ({"urls": ["json://10.0.0.1/"]}, "target.urls[0]", "json: 10.0.0.1 is private"),
        ({"urls": ["mailto://[::1]/?from=a@b.cz&to=a@b.cz"]}, "target.urls[0]", "mailto: ::1 is loopback"),
        ({"endpoints": {"tgram": "http://127.0.0.1/"}}, "target.endpoints", "tgram: 127.0.0.1 is loopback"),
    ],
)
def test_an_address_that_the_gate_refuses_is_named(target: dict[str, Any], path: str, says: str) -> None:
    (problem,) = unreachable(hook(**target), AddressGate([]))
    assert problem.path == path
    assert says in problem.message
    assert unreachable(hook(**target), AddressGate(["0.0.0.0/0", "::/0"])) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://discord.com/api/webhooks/4174216298/JHZ7lQml277CDHmQKMHI8qBe7bk2ZwO5UKjCiOAF7711o33",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "https://ntfy.sh/topic",
        "pover://" + "u" * 30 + "@" + "t" * 30,
        "apprises://apprise.example.net/ops",
        "mqtts://joe:secret@mqtt.example.net/bridge/events?qos=1",
        "mailtos://joe:secret@mail.example.net?to=ops@example.net",
        "gotifys://gotify.example.net/AbCdEfGhIjKlMnO",
        "mmosts://chat.example.net/3ccdd113474722377935511fc85d3dd4",
        "xmls://example.net/in",
        "forms://example.net/in",
    ],
)
def test_services_are_known_by_their_urls(url: str) -> None:
    one = service(url, 3, settings(url))
    assert one.where.startswith("urls[3] (")
    assert one.plugin.throttle() is None
    assert one.plugin.redirects is False


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("http://gateway:8081", "http://gateway:8081/bot"),
        ("http://gateway:8081/", "http://gateway:8081/bot"),
        ("http://gateway/telegram", "http://gateway/telegram/bot"),
        ("http://gateway/bot", "http://gateway/bot"),
    ],
)
def test_a_base_url_stands_for_the_services_own(base: str, address: str) -> None:
    url = "tgram://123456789:abcdefg_hijklmnop/12315544"
    mine = service(url, 0, settings(url, endpoints={"tgram": base}))
    other = service(url, 0, settings(url))
    assert vars(mine.plugin)["notify_url"] == address
    assert "notify_url" not in vars(other.plugin)


def test_apprise_is_not_imported_while_no_hook_notifies() -> None:
    code = (
        "import sys, bridge.cli.main, bridge.app.run, bridge.targets.factory; print('apprise' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert ran.stdout.strip() == "False"
