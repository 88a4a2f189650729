"""TLS towards receivers: on by default, and clear when it fails."""

import contextlib
import ssl
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Fault
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.targets.factory import Targets
from tests.support.certificates import Authority, serving
from tests.support.events import delivery
from tests.support.receiver import (
    TLS,
    Conversation,
    Receiver,
    answering,
    hanging,
    receiving,
    response,
    server_tls,
)
from tests.support.token_endpoint import token_endpoint

CA = str(TLS / "ca.pem")
CLIENT = {"client_cert": str(TLS / "client.pem"), "client_key": str(TLS / "client.key")}


@contextlib.asynccontextmanager
async def sending(
    tls: dict[str, Any],
    context: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    answer: bytes = b"",
    **settings: Any,
) -> AsyncIterator[tuple[Target, Receiver]]:
    async with receiving(answering(answer or response()), context or server_tls()) as receiver:
        targets = Targets({}, ["127.0.0.0/8", "::1/128"], Path("/"), lambda _: None)
        url = receiver.url.replace("127.0.0.1", host)
        fields = {"type": "webhook", "url": url, "tls": tls, "timeout": 10, **settings}
        try:
            yield targets.build(Hook.model_validate({"name": "crm", "target": fields})), receiver
        finally:
            await targets.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_receiver_is_trusted_by_its_authority(host: str) -> None:
    async with sending({"ca_bundle": CA}, host=host) as (target, receiver):
        for _ in range(3):
            assert (await target.attempt(delivery())).fault is None
        assert receiver.connections == 1


async def test_an_unknown_certificate_is_refused() -> None:
    async with sending({}) as (target, receiver):
        answer = await target.attempt(delivery())
    assert answer.fault is Fault.TLS
    assert "certificate" in answer.error
    assert receiver.requests == []


async def test_verification_can_be_switched_off() -> None:
    async with sending({"verify": False}) as (target, _):
        assert (await target.attempt(delivery())).fault is None


async def test_a_certificate_of_somebody_else_is_refused() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "client.pem", TLS / "client.key")
    async with sending({"ca_bundle": CA}, context) as (target, receiver):
        answer = await target.attempt(delivery())
    assert answer.fault is Fault.TLS
    assert receiver.requests == []


async def test_a_client_certificate_is_shown_when_there_is_one() -> None:
    context = server_tls(client_certificates=True)
    async with sending({"ca_bundle": CA, **CLIENT}, context) as (target, _):
        assert (await target.attempt(delivery())).fault is None
    async with sending({"verify": False, **CLIENT}, server_tls(client_certificates=True)) as (target, _):
        assert (await target.attempt(delivery())).fault is None


async def test_a_missing_client_certificate_is_a_tls_fault() -> None:
    async with sending({"ca_bundle": CA}, server_tls(client_certificates=True)) as (target, receiver):
        answer = await target.attempt(delivery())
    assert answer.fault in {Fault.TLS, Fault.CONNECTION}
    assert receiver.requests == []


async def test_a_client_certificate_of_an_authority_that_the_receiver_does_not_know_is_a_tls_fault(
    tmp_path: Path,
) -> None:
    stranger = Authority(tmp_path, "stranger").issue("bridge")
    tls = {"ca_bundle": CA, **stranger.as_client}
    async with sending(tls, server_tls(client_certificates=True)) as (target, receiver):
        answer = await target.attempt(delivery())
    assert answer.fault in {Fault.TLS, Fault.CONNECTION}
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        ({"days": -1}, "certificate has expired"),
        ({"hosts": ["crm.example.net"]}, "mismatch"),
        ({"hosts": ["127.0.0.2"]}, "mismatch"),
    ],
)
async def test_a_certificate_that_has_ended_or_names_another_host_is_refused(
    certificate: dict[str, Any], says: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    context = serving(authority.issue("server", **certificate))
    async with sending({"ca_bundle": str(authority.file)}, context) as (target, receiver):
        answer = await target.attempt(delivery())
        assert receiver.requests == []
    assert answer.fault is Fault.TLS
    assert says in answer.error
    async with sending({"verify": False}, context) as (target, _):
        assert (await target.attempt(delivery())).fault is None


async def test_each_hook_trusts_its_own_authority_and_shows_its_own_certificate(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    client = theirs.issue("bridge")
    context = serving(ours.issue("server"), clients_of=theirs.file)
    known = {"ca_bundle": str(ours.file), **client.as_client}
    async with sending(known, context) as (target, receiver):
        assert (await target.attempt(delivery())).fault is None
        async with sending({**known, "ca_bundle": CA}, url=receiver.url) as (distrustful, _):
            assert (await distrustful.attempt(delivery())).fault is Fault.TLS
        assert len(receiver.requests) == 1


async def test_a_client_certificate_that_is_renewed_is_shown_from_the_next_connection_on(
    tmp_path: Path,
) -> None:
    authority, former = Authority(tmp_path), Authority(tmp_path, "former")
    context = serving(authority.issue("server"), clients_of=authority.file)
    old, new = former.issue("bridge"), authority.issue("renewed")
    tls = {"ca_bundle": str(authority.file), **old.as_client}
    async with sending(tls, context) as (target, _):
        assert (await target.attempt(delivery())).fault is not None
        new.cert.replace(old.cert)  # a pair of two halves cannot be used
        assert (await target.attempt(delivery())).fault is not None
        new.key.replace(old.key)
        assert (await target.attempt(delivery())).fault is None


async def test_files_that_go_away_or_are_spoilt_leave_what_was_read_in_use(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = serving(authority.issue("server"), clients_of=authority.file)
    client = authority.issue("bridge")
    tls = {"ca_bundle": str(authority.file), **client.as_client}
    closing = response(headers={"Connection": "close"})
    async with sending(tls, context, answer=closing) as (target, receiver):
        assert (await target.attempt(delivery())).fault is None
        client.cert.write_text("no certificate")
        assert (await target.attempt(delivery())).fault is None
        client.cert.unlink()
        assert (await target.attempt(delivery())).fault is None
        assert receiver.connections == 3


async def test_an_authority_that_is_added_later_is_trusted(tmp_path: Path) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    context = serving(second.issue("server"))
    async with sending({"ca_bundle": str(first.file)}, context) as (target, _):
        assert (await target.attempt(delivery())).fault is Fault.TLS
        first.file.write_bytes(first.file.read_bytes() + second.file.read_bytes())
        assert (await target.attempt(delivery())).fault is None


async def test_a_token_is_fetched_with_the_hooks_own_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = authority.issue("bridge")
    context = serving(authority.issue("server"), clients_of=authority.file)
    known = {"ca_bundle": str(authority.file), **client.as_client}
    async with token_endpoint(tls=context) as tokens:
        auth = {"type": "oauth2", "token_url": tokens.url, "client_id": "a", "client_secret": "b"}
        async with sending(known, context, auth=auth) as (target, receiver):
            assert (await target.attempt(delivery())).fault is None
            assert receiver.requests[0].headers["authorization"] == "Bearer t1"
        async with sending({"ca_bundle": CA}, context, auth=auth) as (target, receiver):
            answer = await target.attempt(delivery())
            assert answer.fault is Fault.TLS
            assert answer.error.startswith("token endpoint 127.0.0.1:")
            assert receiver.connections == 0


async def test_tls_to_a_receiver_without_it_is_a_tls_fault() -> None:
    async def plain(conversation: Conversation) -> None:
        await conversation.reader.read(1)
        await conversation.send(response(400))
        await conversation.reader.read()

    async with (
        receiving(plain) as receiver,
        sending({}, url=f"https://127.0.0.1:{receiver.port}/") as (target, _),
    ):
        answer = await target.attempt(delivery())
    assert answer.fault is Fault.TLS
    assert answer.error


async def test_old_protocols_are_refused() -> None:
    context = server_tls()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with sending({"ca_bundle": CA}, context) as (target, receiver):
        answer = await target.attempt(delivery())
    # The receiver closes without a word, so all that can be told is when.
    assert answer.fault in {Fault.TLS, Fault.CONNECTION}
    assert "closed while connecting" in answer.error or "TLS" in answer.error
    assert receiver.requests == []


async def test_a_handshake_that_never_ends_meets_the_connect_limit() -> None:
    async with (
        receiving(hanging) as silent,
        sending({}, url=f"https://127.0.0.1:{silent.port}/", connect_timeout=0.4) as (target, _),
    ):
        assert (await target.attempt(delivery())).fault is Fault.TIMEOUT


async def test_hooks_with_the_same_settings_share_connections_and_others_do_not() -> None:
    async with receiving(answering(response()), server_tls()) as receiver:
        targets = Targets({}, ["127.0.0.0/8"], Path("/"), lambda _: None)
        for tls in ({"ca_bundle": CA}, {"ca_bundle": CA}, {"verify": False}):
            fields = {"type": "webhook", "url": receiver.url, "tls": tls}
            target = targets.build(Hook.model_validate({"name": "crm", "target": fields}))
            assert (await target.attempt(delivery())).fault is None
        await targets.close()
        assert receiver.connections == 2
