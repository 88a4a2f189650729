"""Ports for throw-away servers."""

import random
import socket

# Below the ranges from which systems hand out client ports (Linux from 32768, macOS from 49152):
# a server that restarts on its port must not find it taken by somebody's outgoing connection.
RANGE = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Different ports on which nothing listens."""
    found: list[int] = []
    for port in random.SystemRandom().sample(RANGE, len(RANGE)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free port found")


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
