"""Name resolution that a few dead names cannot stop."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from aiohttp.abc import AbstractResolver, ResolveResult

_THREADS = 64


class Resolver(AbstractResolver):
    """The system's resolver on threads of its own.

    A look-up at a dead name server occupies its thread for many seconds, whatever becomes of the attempt.
    The event loops have few: uvloop 4, asyncio the number of processors and 4.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises OSError (socket.gaierror) when there are none."""
        look_up = partial(
            socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
            # Where Python has no IPv6, such an address is raw bytes after a number.
            if isinstance(address[0], str)
        ]

    async def close(self) -> None:
        """Start no further look-up; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
