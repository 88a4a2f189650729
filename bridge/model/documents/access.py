"""Tokens and the audit log, as the API takes and shows them."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from bridge.model.access import Role
from bridge.model.documents.shape import Closed, UtcMoment
from bridge.model.strict import Strict
from bridge.model.units import seconds

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


class NewToken(Strict):
    """A token to be made."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@:+-]{0,63}$", examples=["grafana"])
    """Who it is for; stands in the audit log. One that is not revoked has it for itself."""
    role: Role
    """What it is good for: viewer looks, operator runs, admin sets up."""
    expires_in: Lifetime | None = Field(default=None, examples=["90d"])
    """How long it is good for: seconds, or text such as 90d; default: until it is revoked."""


class TokenDocument(Closed):
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


class MadeToken(TokenDocument):
    """A token that was just made."""

    token: str
    """What is to be shown as `Authorization: Bearer ...`; only this answer holds it."""


class ActorDocument(Closed):
    """Who asks."""

    name: str
    """Name of the token; `admin` for `http.admin_token`."""
    role: Role
    """What it is good for."""


class DeedDocument(Closed):
    """What somebody changed."""

    id: str
    """A UUIDv7."""
    at: UtcMoment
    """When."""
    actor: str
    """Name of the token; `admin` for `http.admin_token`, `bridge` for the bridge itself."""
    role: str
    """What the token was good for."""
    action: str
    """The operation, such as hooks.pause."""
    object_type: str
    """Kind of what was changed, such as hook."""
    object_id: str
    """Its id; empty where several were changed, or none that has one."""
    object_name: str | None
    """Of a hook its name, its id where it is gone; null for all else."""
    request_id: str
    """The request's id, as in `X-Request-Id` and in the log."""
    remote: str
    """Address that the request came from."""
    detail: dict[str, Any]
    """What changed, with how many; never a secret."""
