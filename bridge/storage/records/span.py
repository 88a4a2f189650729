"""Times as ids, and ids as they are stored: a UUIDv7 begins with the millisecond in which it was made."""

import math
from uuid import UUID

_LAST = (1 << 48) - 1


def first_id(at: float | None) -> str | None:
    """The least id that can have been made at that Unix time or later; None for None."""
    if at is None:
        return None
    # Seconds with three decimals are seldom a float exactly: 0.123 must not become the 124th millisecond.
    milliseconds = math.ceil(round(min(max(at, 0.0), _LAST) * 1000, 3))
    return str(UUID(int=min(milliseconds, _LAST) << 80))


def as_id(text: str) -> str | None:
    """The id as the database has it; None for text that is no UUID."""
    try:
        found = str(UUID(text))
    except ValueError:
        return None
    return found if found == text.lower() else None
