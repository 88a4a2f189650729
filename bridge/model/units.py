"""Durations, sizes and rates as people write them in configuration files."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?i?b)", re.IGNORECASE)
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)", re.IGNORECASE)


def seconds(value: Any) -> Any:
    """Seconds of `15s`, `5m`, `2h30m`, `7d`, `250ms`; a bare number is seconds."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    parts = _DURATION.findall(text)
    if parts and not _DURATION.sub("", text).strip():
        return sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts)
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{value!r} is no duration; write for example 15s, 5m, 2h30m or 7d") from None


def size(value: Any) -> Any:
    """Bytes of `64kB`, `1MiB`; a bare number is bytes."""
    if not isinstance(value, str):
        return value
    if match := _SIZE.fullmatch(value.strip()):
        return int(float(match[1]) * _BYTES[match[2].lower()])
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{value!r} is no size; write for example 64kB or 1MiB") from None


def per_second(value: Any) -> Any:
    """Events per second of `50/s`, `30/m`, `1000/h`; a bare number is per second."""
    if not isinstance(value, str):
        return value
    if match := _RATE.fullmatch(value.strip()):
        return float(match[1]) / _SECONDS[match[2].lower()]
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{value!r} is no rate; write for example 50/s, 30/m or 1000/h") from None


def _text_or_number(pattern: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": pattern}]}
    )


Seconds = Annotated[
    float, BeforeValidator(seconds), _text_or_number(r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d)?\s*)+$")
]
Bytes = Annotated[int, BeforeValidator(size), _text_or_number(r"^\s*\d+(\.\d+)?\s*([kKmMgG]?i?[bB])?\s*$")]
PerSecond = Annotated[
    float, BeforeValidator(per_second), _text_or_number(r"^\s*\d+(\.\d+)?\s*(/\s*[smh])?\s*$")
]
