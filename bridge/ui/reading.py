"""Reads the forms that browsers send."""

import asyncio
from typing import Any

from aiohttp import web
from multidict import MultiDictProxy

from bridge.http.documents import RequestProblem

FORM_SECONDS = 30
"""Seconds in which a form has to arrive."""


async def read_form(request: web.Request) -> MultiDictProxy[Any]:
    """Returns the fields of a form; raises RequestProblem: 408 if it is late, 400 if the client ends while it sends it."""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            return await request.post()
    except TimeoutError:
        raise RequestProblem(408, f"the form did not come within {FORM_SECONDS} s") from None
    except (ConnectionError, web.RequestPayloadError):
        raise RequestProblem(400, "the form is not whole") from None
