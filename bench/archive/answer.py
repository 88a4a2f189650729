"""How long one question took."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """How long pages of one list took, in milliseconds, and what the first of them held."""

    title: str
    first_ms: float
    """The first time that it was asked."""
    usual_ms: float
    worst_ms: float
    items: int
    short: bool
    """The first page had less than it may have, and yet was not the last."""
