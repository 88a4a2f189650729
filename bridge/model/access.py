"""Who may do what through the admin API."""

from enum import StrEnum

from bridge.model.value import value


class Role(StrEnum):
    """What a token is good for; each role may do what the one before it may."""

    VIEWER = "viewer"
    """Looks at everything, changes nothing."""
    OPERATOR = "operator"
    """Runs it: pause, resume, enable, disable, test, retry, cancel, replay, quarantine, publish."""
    ADMIN = "admin"
    """Sets it up: hooks and their secrets, tokens, the audit log."""

    def may(self, wanted: "Role") -> bool:
        """Whether this role is enough where `wanted` is asked for."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(wanted)


@value(frozen=True, slots=True)
class Actor:
    """Who does something: the name and role of a token. `http.admin_token` is `admin`; the bridge itself `bridge`."""

    name: str
    role: Role
    token_id: str | None = None


@value(frozen=True, slots=True)
class Deed:
    """What somebody changed. `at` in Unix seconds; `detail` is JSON without secrets: what changed, with how many."""

    id: str
    at: float
    actor: str
    role: str
    action: str
    """The name of the operation, such as `hooks.pause`."""
    object_type: str
    object_id: str
    request_id: str
    remote: str
    detail: str


@value(frozen=True, slots=True)
class KnownToken:
    """A token as it is recorded: never the token itself. Times in Unix seconds."""

    id: str
    name: str
    role: Role
    created_at: float
    created_by: str
    last_used_at: float | None
    expires_at: float | None
    revoked_at: float | None
