"""Tokens and the audit log, as the API takes and shows them."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.core.access import KnownToken, Role
from bridge.core.base import StrictModel, seconds
from bridge.formats.text import utc_seconds
from bridge.http.documents import ClosedDocument, UtcMoment, moment_or_none

_LONGEST = 3660 * 86_400

Lifetime = Annotated[
    float,
    BeforeValidator(seconds),
    Field(ge=1, le=_LONGEST),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 1, "maximum": _LONGEST},
                {"type": "string", "pattern": r"^[1-9][0-9]{0,2}[smhd]$"},
            ]
        }
    ),
]
"""Seconds, or text such as 90d, 12h, 30m."""


class NewToken(StrictModel):
    """A token to be made."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@:+-]{0,63}$", examples=["grafana"])
    """Who it is for; stands in the audit log. One that is not revoked has it for itself."""
    role: Role
    """What it is good for: viewer looks, operator runs, admin sets up."""
    expires_in: Lifetime | None = Field(default=None, examples=["90d"])
    """How long it is good for: seconds, or text such as 90d; default: until it is revoked."""


class TokenDocument(ClosedDocument):
    """A token, never the text that is shown for it."""

    id: str
    """Its id."""
    name: str
    """Who it is for."""
    role: Role
    """What it is good for."""
    created_at: UtcMoment
    """When it was made."""
    created_by: str
    """Name of the token with which it was made."""
    last_used_at: UtcMoment | None
    """When it was shown last, to within some seconds; null: never."""
    expires_at: UtcMoment | None
    """Until when it is good; null: until it is revoked."""
    revoked_at: UtcMoment | None
    """Since when it is good no longer."""

    @classmethod
    def of(cls, known: KnownToken, **more: str) -> Self:
        """The token; `more` are further members."""
        return cls(
            id=known.id,
            name=known.name,
            role=known.role,
            created_at=utc_seconds(known.created_at),
            created_by=known.created_by,
            last_used_at=moment_or_none(known.last_used_at),
            expires_at=moment_or_none(known.expires_at),
            revoked_at=moment_or_none(known.revoked_at),
            **more,
        )


class MadeToken(TokenDocument):
    """A token that was just made."""

    token: str
    """What is to be shown as `Authorization: Bearer ...`; only this answer holds it."""
