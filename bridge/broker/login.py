"""A connection that logged in with a token gets the next one before that ends."""

import asyncio

from aiormq import exceptions as amqp

from bridge.broker.receiving import ReceivingConnection
from bridge.model.errors import BrokerRefused, BrokerUnavailable
from bridge.ports.backoff import Backoff
from bridge.ports.login import Grant, Grants
from bridge.telemetry import events

_LONGEST_WAIT = 15.0
_ANSWER = 10.0
_LEAST_WAIT = 0.2
"""A server may give the same token until it ends, with ever less time left."""


async def outlived(connection: ReceivingConnection, role: str, grants: Grants, grant: Grant) -> str:
    """Renew the connection's token for as long as that works; returns why it ended, with the token's end.

    RabbitMQ leaves such a connection open and refuses whatever it asks for, as it does to a user without rights
    (3.10). It had better be gone, and made anew as soon as there is a token.
    """
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(max(grant.renew_at - loop.time(), _LEAST_WAIT))
        try:
            async with asyncio.timeout_at(grant.expires_at):
                grant = await _renewed(connection, role, grants, grant)
        except TimeoutError:
            return "the access token of this connection ended, and there was no new one"


async def _renewed(connection: ReceivingConnection, role: str, grants: Grants, old: Grant) -> Grant:
    """The next token, which the broker has taken."""
    loop = asyncio.get_running_loop()
    backoff = Backoff(0.5, _LONGEST_WAIT)
    while True:
        try:
            new = await grants.get(since=old.renew_at)
            async with asyncio.timeout(_ANSWER):
                await connection.update_secret(new.token, reason="the token ends soon")
        except (BrokerUnavailable, BrokerRefused, amqp.AMQPError, OSError, TimeoutError) as error:
            # A broker with an alarm does not read what publishers send, this included.
            what = str(error) or "the broker did not answer to the new token in time"
            events.token_not_renewed(role, what, old.expires_at - loop.time())
            await backoff.pause()
        else:
            return new
