"""Who the bridge is to a broker that asks for certificates or tokens: shown, renewed, refused."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.amqp.connection import Link
from bridge.checks.broker import broker_address
from bridge.core.errors import BridgeError
from bridge.settings.tree import Broker
from tests.support.command import amqp_bridge
from tests.support.identities import Guarded, guarded_broker
from tests.support.links import Heard
from tests.support.scene import Scene, open_scene
from tests.support.token_endpoint import TokenEndpoint, json_answer, token_endpoint
from tests.support.waiting import until

LIFE = 3.0


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded_broker(tmp_path_factory.mktemp("identities")) as broker:
        broker.known("bridge", "renewed")
        yield broker


@pytest.fixture
async def place(guarded: Guarded, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(guarded.node.url, tmp_path) as scene:
        yield scene


async def refusal(**settings: Any) -> str:
    """Why a connection with these settings of `broker` cannot be made."""
    broker = Broker.model_validate({"connect_timeout": 5, **settings})
    with pytest.raises(BridgeError) as refused:
        await Link("test", broker_address(broker, broker), Heard()).connect_once()
    return str(refused.value)


async def test_each_refused_certificate_is_told_with_what_to_do(guarded: Guarded, tmp_path: Path):
    known = guarded.authority.issue("bridge")
    nobody = guarded.authority.issue("nobody")
    external = {"url": guarded.url(), "auth": "external"}

    said = await refusal(**external, tls=guarded.tls(nobody))
    assert "must be one of its users" in said
    # The broker's alert may be overtaken by its reset, so the words differ.
    said = await refusal(url=guarded.url(), tls=guarded.tls(None))
    assert "client certificate" in said
    assert "broker.tls.cert" in said
    said = await refusal(**external, tls=guarded.tls(guarded.authority.issue("late", days=-1)))
    assert "that it trusts and that has not ended" in said
    assert "broker.tls.cert" in said
    said = await refusal(**external | {"url": guarded.url("localhost")}, tls=guarded.tls(known))
    assert "not valid for 'localhost'" in said
    assert "a name that stands in the certificate" in said
    said = await refusal(**external, tls=guarded.tls(known) | {"ca": None})
    assert "is not accepted: self-signed certificate" in said
    assert "broker.tls.ca" in said
    said = await refusal(url=guarded.node.url.replace("amqp:", "amqps:"))
    assert "no TLS is spoken there; write amqp://" in said
    said = await refusal(url=guarded.node.url.replace(str(guarded.node.amqp_port), str(guarded.tls_port)))
    assert "amqps://" in said
    gone = tmp_path / "gone.pem"
    said = await refusal(**external, tls=guarded.tls(known) | {"cert": str(gone)})
    assert said.startswith(f"broker.tls: cert {gone}")


async def test_a_certificate_logs_in_and_a_renewed_one_is_shown_from_the_next_connection_on(
    guarded: Guarded, place: Scene
):
    source, mine = await place.queue(), guarded.authority.issue("bridge")
    broker = {"url": guarded.url(), "auth": "external", "tls": guarded.tls(mine)}
    async with place.bridge([place.webhook("crm")], source, broker=broker) as bridge:
        await place.queues.publish(source, [b"1"])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)

        renewed = guarded.authority.issue("renewed")
        shutil.copy(renewed.cert, mine.cert)
        shutil.copy(renewed.key, mine.key)
        await asyncio.to_thread(guarded.node.rabbitmqctl, "close_all_connections", "renewal")
        await until(lambda: len(bridge.said("connection.open")) >= 6, what=bridge.last_words)
        users = await asyncio.to_thread(guarded.node.rabbitmqctl, "list_connections", "user")
        await place.queues.publish(source, [b"2"])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 2}, what=bridge.last_words)
    assert set(users.split()) - {"user", "guest"} == {"renewed"}


def oauth2(endpoint: TokenEndpoint, **fields: Any) -> dict[str, Any]:
    """Settings of `broker` for the tokens of this endpoint."""
    return {
        "auth": "oauth2",
        "oauth2": {"token_url": endpoint.url, "client_id": "bridge", "client_secret": "hush-hush", **fields},
    }


async def test_tokens_are_renewed_under_living_connections_and_had_anew_after_they_ended(
    guarded: Guarded, place: Scene
):
    source, sink = await place.queue(), await place.queue("sink")
    bare = guarded.node.url.replace("guest:guest@", "")
    hooks = [
        place.webhook("crm"),
        {"name": "far", "target": {"type": "queue", "queue": sink, "broker": "far"}},
    ]
    async with token_endpoint(life=LIFE) as endpoint:
        # The broker counts in whole seconds: a token lives a little longer than it says.
        endpoint.make = lambda _: guarded.signer.token(LIFE + 1)
        broker = {"url": bare, **oauth2(endpoint)}
        other = {"far": {"url": bare, **oauth2(endpoint, client_auth="body")}}
        async with place.bridge(hooks, source, broker=broker, brokers=other) as bridge:
            opened, asked = len(bridge.said("connection.open")), endpoint.given

            async def delivered(count: int) -> None:
                await place.queues.publish(source, [b"%d" % count])
                wanted = {"SUCCESS": count}
                await until(
                    lambda: bridge.history.statuses("crm") == bridge.history.statuses("far") == wanted,
                    what=bridge.last_words,
                )

            await delivered(1)
            await until(lambda: endpoint.given >= asked + 4, what=bridge.last_words)
            await delivered(2)
            assert len(bridge.said("connection.open")) == opened
            assert not bridge.said("login.not_renewed")

            endpoint.script[:] = [json_answer(503, {"error": "temporarily_unavailable"})] * 1000
            await until(lambda: len(bridge.said("connection.lost")) >= opened, what=bridge.last_words)
            endpoint.script.clear()
            await delivered(3)
            words = bridge.said("login.not_renewed")
            assert {"503" in each["error"] for each in words} == {True}
            assert "the access token of this connection ended" in bridge.said("connection.lost")[0]["error"]
            assert "hush-hush" not in bridge.log_text
            assert "eyJ" not in bridge.log_text
    assert {form["grant_type"] for form in endpoint.forms()} == {"client_credentials"}


async def test_each_refused_token_is_told_with_what_to_do(guarded: Guarded, tmp_path: Path):
    async with token_endpoint() as endpoint:
        login = {"url": guarded.node.url.replace("guest:guest@", ""), **oauth2(endpoint)}
        assert "does it know the key that signs the tokens" in await refusal(**login)
        endpoint.make = lambda _: guarded.signer.token(60, padding="x" * 6000)
        assert "ask for fewer scopes" in await refusal(**login)
        endpoint.script[:] = [json_answer(401, {"error": "invalid_client", "error_description": "hush-hush"})]
        said = await refusal(**login)
        assert said.startswith("broker.oauth2: token endpoint 127.0.0.1:")
        assert said.endswith("answered 401 (invalid_client)")

        (tmp_path / "bridge.yaml").write_text(str({"broker": {**login, "url": guarded.node.url}}))
        endpoint.script[:] = [json_answer(400, {"error": "invalid_scope"})]
        ended = await asyncio.to_thread(amqp_bridge, "doctor", cwd=tmp_path)
        assert "answered 400 (invalid_scope)" in ended.out
    said = await refusal(**login)
    assert "connection refused" in said
