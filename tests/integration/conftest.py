"""A connection to the shared broker."""

import pytest

from tests.support.links import running_link


@pytest.fixture
async def link(amqp_url):
    async with running_link(amqp_url) as link:
        yield link
