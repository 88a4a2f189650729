"""How large an AMQP header table becomes on the wire."""

from collections.abc import Mapping
from typing import Any


def table_size(table: Mapping[str, Any]) -> int:
    """Bytes of the encoded table, from above: whatever has a fixed width counts as 8.

    Source: AMQP 0-9-1, 4.2.5.5 with RabbitMQ's field types.
    """
    size = 4
    waiting: list[Any] = [table]
    while waiting:
        container = waiting.pop()
        if isinstance(container, Mapping):
            for key in container:
                size += 1 + _text_size(key)
            container = container.values()
        for value in container:
            if isinstance(value, (dict, list)):
                size += 5
                waiting.append(value)
            else:
                size += 1 + _scalar_size(value)
    return size


def _scalar_size(value: Any) -> int:
    """Of the value alone, without the byte that tells its type."""
    if isinstance(value, str):
        return 4 + _text_size(value)
    if isinstance(value, (bytes, bytearray)):
        return 4 + len(value)
    return 0 if value is None else 8


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
