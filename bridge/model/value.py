"""Values that nobody changes: for the type checker a frozen dataclass, at run time without its price.

A frozen dataclass sets each field through object.__setattr__: 1.9 us instead of 0.3 us for a message of twelve
fields (Python 3.11), and every delivery makes half a dozen values. So freezing is left to mypy, which checks all
code here; equality, hashing, `replace` and the rest are those of a frozen dataclass.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """Stand in for `dataclass(frozen=True, ...)`."""
        return dataclass(slots=slots, unsafe_hash=frozen)


__all__ = ["value"]
