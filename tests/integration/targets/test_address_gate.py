"""Where a webhook is never sent, however its address is written and whatever a name server says meanwhile."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Answer, Fault
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.targets.factory import Targets
from tests.support.events import delivery
from tests.support.receiver import Conversation, Receiver, answering, receiving, response
from tests.support.token_endpoint import granting

SPELLINGS = {
    "hex": "0x7f000001",
    "octal": "017700000001",
    "octal parts": "0177.0.0.01",
    "hex part": "0x7f.1",
    "one number": "2130706433",
    "metadata as one number": "2852039166",
    "short": "127.1",
    "zero": "0",
    "all zeros": "0.0.0.0",
    "broadcast": "255.255.255.255",
    "trailing dot": "127.0.0.1.",
    "trailing dots": "127.0.0.1..",
    "fullwidth digits": "１２７.0.0.1",  # noqa: RUF001 - what IDNA makes digits of
    "fullwidth and short": "１２７.１",  # noqa: RUF001
    "circled digits": "①②⑦.0.0.1",
    "ideographic dots": "127。0。0。1",
    "arabic digits": "١٢٧.0.0.1",
    "zero-width space": "127.0.0.1\u200b",
    "percent-encoded": "%31%32%37.0.0.1",
    "user": "user@127.0.0.1",
    "another host as user": "good.example@127.0.0.1",
    "another host before an encoded slash": "good.example%2f@127.0.0.1",
    "backslash": "127.0.0.1\\@good.example",
    "mapped": "[::ffff:7f00:1]",
    "mapped, dotted": "[0:0:0:0:0:ffff:127.0.0.1]",
    "compatible": "[::127.0.0.1]",
    "loopback": "[::1]",
    "unspecified": "[::]",
    "with a zone": "[::1%25lo]",
    "link-local with a zone": "[fe80::1%25lo]",
    "nat64": "[64:ff9b::127.0.0.1]",
    "local nat64": "[64:ff9b:1::7f00:1]",
    "6to4": "[2002:7f00:1::1]",
    "teredo": "[2001:0:7f00:1::1]",
    "isatap": "[fe80::5efe:127.0.0.1]",
    "isatap in a global network": "[2a00:1450::200:5efe:127.0.0.1]",
    "metadata": "169.254.169.254",
    "metadata by ipv6": "[fd00:ec2::254]",
    "carrier-grade nat": "100.64.0.1",
    "benchmarks": "198.18.0.1",
    "documentation": "192.0.2.1",
    "multicast": "224.0.0.1",
    "a name": "localhost",
    "a name in capitals": "LOCALHOST",
}


class Dialling:
    """Webhooks of one bridge."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    def target(self, url: str, **settings: Any) -> Target:
        """That of a hook in the file."""
        return self._targets.build(_hook(url, **settings))

    async def attempt(self, url: str, **settings: Any) -> Answer:
        """Build and try once."""
        return await self.target(url, **settings).attempt(delivery())

    async def attempt_of_api(self, url: str, **settings: Any) -> Answer:
        """As `attempt`, of a hook that was made through the API."""
        return await self._targets.build(_hook(url, **settings).with_id("hk_a")).attempt(delivery())


def _hook(url: str, **settings: Any) -> Hook:
    target = {"type": "webhook", "url": url, "timeout": 5, **settings}
    return Hook.model_validate({"name": "crm", "target": target})


@contextlib.asynccontextmanager
async def allowing(*networks: str) -> AsyncIterator[Dialling]:
    targets = Targets({}, networks, Path("/"), lambda _: None)
    try:
        yield Dialling(targets)
    finally:
        await targets.close()


@contextlib.asynccontextmanager
async def two_receivers() -> AsyncIterator[tuple[Receiver, Receiver]]:
    """On one port of 127.0.0.1 and 127.0.0.2."""
    async with (
        receiving(answering(response())) as first,
        receiving(answering(response()), host="127.0.0.2", port=first.port) as second,
    ):
        yield first, second


async def refusal(dialling: Dialling, url: str) -> str | Fault | None:
    """What is wrong with the hook, or what its attempt came to."""
    try:
        return (await dialling.attempt(url)).fault
    except SettingsError as error:
        return error.problems[0].path


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Sequence[Sequence[str]]], None]:
    """Says what a name's look-ups give, one after the other, the last for ever."""
    known: dict[str, list[Sequence[str]]] = {}
    look_up = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host not in known:
            return look_up(host, port, *args, **options)
        answers = known[host]
        now = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in now]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return lambda name, answers: known.update({name: list(answers)})


async def test_no_notation_of_a_private_address_is_dialled() -> None:
    async with receiving(answering(response())) as receiver, allowing() as dialling:
        for what, host in SPELLINGS.items():
            refused = await refusal(dialling, f"http://{host}:{receiver.port}/")
            assert refused in {"target.url", Fault.BLOCKED_ADDRESS}, what
        assert receiver.connections == 0


async def test_what_is_allowed_is_dialled_in_every_notation_that_is_an_address() -> None:
    async with receiving(answering(response())) as receiver, allowing("127.0.0.0/8") as dialling:
        for host in ("127.0.0.1", "１２７.0.0.1", "127。0。0。1", "localhost"):  # noqa: RUF001
            assert (await dialling.attempt(f"http://{host}:{receiver.port}/")).fault is None
        with pytest.raises(SettingsError):
            dialling.target(f"http://127.1:{receiver.port}/")


async def test_of_a_name_with_public_and_private_addresses_only_the_public_ones_are_dialled(
    names: Any,
) -> None:
    names("mixed.example", [["127.0.0.1", "127.0.0.2"]])
    async with two_receivers() as (private, public), allowing("127.0.0.2") as dialling:
        for _ in range(3):
            answer = await dialling.attempt(f"http://mixed.example:{private.port}/")
            assert answer.fault is None
        assert private.connections == 0
        assert public.connections == 1


async def test_a_name_that_changes_its_answer_leads_nowhere_private(names: Any) -> None:
    async def once(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(response(headers={"Connection": "close"}))

    async with (
        receiving(answering(response())) as private,
        receiving(once, host="127.0.0.2", port=private.port) as public,
    ):
        url = f"http://rebinding.example:{private.port}/"
        # One bridge looks a name up once in a while; of these each has to, and they get other answers.
        answers = [["127.0.0.2"], ["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.1"]]
        names("rebinding.example", answers)
        outcomes = []
        for _ in range(4):
            async with allowing("127.0.0.2") as dialling:
                outcomes.append((await dialling.attempt(url)).fault)
        assert outcomes == [None, Fault.BLOCKED_ADDRESS, None, Fault.BLOCKED_ADDRESS]
        assert private.connections == 0
        assert public.connections == 2


async def test_a_name_with_private_addresses_alone_says_which_they_are(names: Any) -> None:
    names("inside.example", [["127.0.0.1", "10.0.0.1", "169.254.169.254"]])
    async with allowing() as dialling:
        answer = await dialling.attempt("http://inside.example/")
    assert answer.fault is Fault.BLOCKED_ADDRESS
    assert "169.254.169.254 is link-local" in answer.error


async def test_what_a_hook_of_the_file_opens_for_itself_is_open_for_no_other() -> None:
    async with receiving(answering(response())) as receiver, allowing() as dialling:
        own = dialling.target(receiver.url, allow_private_targets=["127.0.0.0/8"])
        assert (await own.attempt(delivery())).fault is None
        # The first one's connection is kept; this one must not get it.
        other = await dialling.attempt(f"http://localhost:{receiver.port}/")
        assert other.fault is Fault.BLOCKED_ADDRESS
        assert (await dialling.attempt(receiver.url)).fault is Fault.BLOCKED_ADDRESS
        again = await dialling.attempt(receiver.url, allow_private_targets=["127.0.0.0/8"])
        assert again.fault is None
        assert (receiver.connections, len(receiver.requests)) == (1, 2)


async def test_a_kept_connection_is_not_lent_to_a_hook_that_may_not_dial_it(names: Any) -> None:
    names("inside.example", [["127.0.0.1"]])
    async with receiving(answering(response())) as receiver, allowing() as dialling:
        url = f"http://inside.example:{receiver.port}/"
        assert (await dialling.attempt(url, allow_private_targets=["127.0.0.1"])).fault is None
        assert (await dialling.attempt(url)).fault is Fault.BLOCKED_ADDRESS
        assert len(receiver.requests) == 1


async def test_a_hook_made_through_the_api_opens_nothing_beyond_the_setting_of_today() -> None:
    async with receiving(answering(response())) as receiver, allowing() as dialling:
        answer = await dialling.attempt_of_api(receiver.url, allow_private_targets=["127.0.0.0/8"])
        assert answer.fault is Fault.BLOCKED_ADDRESS
        assert receiver.connections == 0


async def test_token_endpoint_and_proxy_are_within_what_the_hook_may_reach(names: Any) -> None:
    names("id.example", [["127.0.0.1"]])
    async with receiving(answering(granting("t1"))) as receiver, allowing("127.0.0.2") as dialling:
        oauth = {"type": "oauth2", "client_id": "a", "client_secret": "b"}
        for host in ("127.0.0.1", "id.example"):
            auth = oauth | {"token_url": f"http://{host}:{receiver.port}/"}
            answer = await dialling.attempt("http://127.0.0.2:1/", auth=auth)
            assert (answer.fault, "token endpoint" in answer.error) == (Fault.BLOCKED_ADDRESS, True)
            proxied = await dialling.attempt("http://crm.example/", proxy=f"http://{host}:{receiver.port}")
            assert proxied.fault is Fault.BLOCKED_ADDRESS
            own = {"allow_private_targets": ["127.0.0.1"], "proxy": f"http://{host}:{receiver.port}"}
            assert receiver.connections == 0
        assert (await dialling.attempt("http://crm.example/", **own)).fault is None


@pytest.mark.parametrize("host", ["localhost", "LocalHost.", "a.localhost"])
async def test_a_proxy_is_not_asked_for_its_own_machine(host: str) -> None:
    async with receiving(answering(response())) as proxy, allowing() as dialling:
        own = {"proxy": f"http://127.0.0.2:{proxy.port}", "allow_private_targets": ["127.0.0.2"]}
        answer = await dialling.attempt(f"http://{host}/", **own)
    assert answer.fault is Fault.BLOCKED_ADDRESS
    assert "asked of a proxy" in answer.error
