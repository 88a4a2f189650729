"""Base types of settings and values: the strict model, fast frozen dataclasses, units, ids, and exponential backoff."""

import asyncio
import random
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import uuid_utils
from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, WithJsonSchema


class StrictModel(BaseModel):
    """A frozen pydantic model that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


# Immutable values at the cost of a plain dataclass. A frozen dataclass sets each field through object.__setattr__: 1.9
# us instead of 0.3 us for a message of twelve fields (Python 3.11), and each delivery creates half a dozen values. The
# type checker sees a frozen dataclass and rejects assignments; equality, hashing and `replace` work as in a frozen
# dataclass.


if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool, weakref_slot: bool = False) -> Callable[[type], type]:
        """The run-time replacement of `dataclass(frozen=True, ...)`."""
        return dataclass(slots=slots, weakref_slot=weakref_slot, unsafe_hash=frozen)


__all__ = ["value"]


# Parsers of durations, sizes and rates in settings.


_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?i?b)", re.IGNORECASE)
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)", re.IGNORECASE)


def seconds(value: Any) -> Any:
    """Returns seconds, parsed from `15s`, `5m`, `2h30m`, `7d`, `250ms` or a number of seconds."""
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
    """Returns bytes, parsed from `64kB`, `1MiB` or a number of bytes."""
    if not isinstance(value, str):
        return value
    if match := _SIZE.fullmatch(value.strip()):
        return int(float(match[1]) * _BYTES[match[2].lower()])
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"{value!r} is no size; write for example 64kB or 1MiB") from None


def per_second(value: Any) -> Any:
    """Returns events per second, parsed from `50/s`, `30/m`, `1000/h` or a number per second."""
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


# Serialization of settings with their secrets in the clear, for internal use only.


def plain(value: Any) -> Any:
    """Returns settings as JSON values, without fields that were not set: these keep following their defaults."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


# Exponential backoff with jitter, for operations that are retried until they succeed.


class Backoff:
    """The exponential backoff of one retry loop: jittered waits that double from `first` to `longest` seconds.

    The jitter keeps many processes from retrying at the same moment.
    """

    def __init__(self, first: float = 0.2, longest: float = 5.0) -> None:
        self._first = self._wait = first
        self._longest = longest

    @property
    def next_wait(self) -> float:
        """Returns the next wait in seconds and advances the backoff."""
        wait, self._wait = self._wait, min(self._wait * 2, self._longest)
        return wait * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not secrecy

    async def pause(self) -> None:
        """Sleep for the next wait."""
        await asyncio.sleep(self.next_wait)

    def reset(self) -> None:
        """Restart with the shortest wait, after a success."""
        self._wait = self._first


def new_id() -> str:
    """Returns a UUIDv7: such ids sort by the time of their creation."""
    return str(uuid_utils.uuid7())
