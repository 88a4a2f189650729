"""The exception hierarchy of the bridge: programming errors and unavailable infrastructure only.

BridgeError
├── SettingsError         the configuration cannot be used; carries one Problem per fault
├── BrokerUnavailable     the broker cannot be reached or the connection was lost; retry
├── BrokerRefused         the broker rejected the request (permission, other arguments)
│   └── LoginRefused      the broker rejected the login (password, certificate, token or virtual host)
├── PublishFailed         a publish was not confirmed
│   ├── Unroutable        the publish was confirmed, but no queue is bound for it
│   └── PublishTooLarge   the message exceeds what the broker accepts on a connection
├── HistoryUnavailable    the database cannot be reached; retry
├── ListenFailed          an HTTP address cannot be bound
└── AlreadyRunning        another process serves this broker prefix with a SQLite history

A malformed message or a failing endpoint is a value, not an exception: see bridge.core.delivery.
"""

from dataclasses import dataclass


class BridgeError(Exception):
    """The base class of the bridge's exceptions; the text is written for the operator."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One error in the configuration: the setting's path, the error and how to correct it.

    `where` is the file and line (`bridge.yaml:12`) or the environment variable, if known.
    """

    path: str
    message: str
    where: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.path, self.message) if part)


class SettingsError(BridgeError):
    """The configuration cannot be used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class BrokerUnavailable(BridgeError):
    """The broker cannot be reached, or the connection was lost."""


class BrokerRefused(BridgeError):
    """The broker rejected the request; an immediate retry would fail again."""


class LoginRefused(BrokerRefused):
    """The broker or the token endpoint rejected the login: the operator must change the credentials."""


class PublishFailed(BridgeError):
    """A publish without a confirm: the message may or may not have arrived."""


class Unroutable(PublishFailed):
    """The broker accepted the message, but no queue was bound for it."""


class PublishTooLarge(PublishFailed):
    """The body or the headers exceed what the broker accepts on a connection."""


class HistoryUnavailable(BridgeError):
    """The database cannot be reached at present."""


class ListenFailed(BridgeError):
    """An HTTP address cannot be bound (in use, not local, no permission)."""


class AlreadyRunning(BridgeError):
    """Another process serves the same broker prefix with a SQLite history."""
