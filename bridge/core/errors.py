"""The exceptions of the project: bugs and broken infrastructure only.

BridgeError
├── SettingsError         the configuration cannot be used; carries one Problem per fault
├── BrokerUnavailable     the broker cannot be reached or went away; try again
├── BrokerRefused         the broker answered no (no right, other arguments)
│   └── LoginRefused      who connects may not (wrong password, certificate, token or virtual host)
├── PublishFailed         a publish has no confirmed fate
│   ├── Unroutable        confirmed, but no queue took it
│   └── PublishTooLarge   the broker would close the connection over it
├── HistoryUnavailable    the database cannot be reached; try again
├── ListenFailed          an address for HTTP cannot be listened on
└── AlreadyRunning        another process serves this broker prefix with a SQLite history

A bad message or a bad endpoint is not an exception but a value: see bridge.core.delivery.
"""

from dataclasses import dataclass


class BridgeError(Exception):
    """What this project raises; the text is written for the operator."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in the configuration: its path, what is wrong and what to do.

    `where` is the file and line (`bridge.yaml:12`) or the environment variable, as far as it is known.
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
    """The broker cannot be reached, or the connection went away."""


class BrokerRefused(BridgeError):
    """The broker answered and said no; trying again at once will not help."""


class LoginRefused(BrokerRefused):
    """The broker, or who gives tokens for it, refuses who connects: somebody has to give another login."""


class PublishFailed(BridgeError):
    """A publish without a confirmed fate: it may or may not have arrived."""


class Unroutable(PublishFailed):
    """The broker took the message, but no queue was bound for it."""


class PublishTooLarge(PublishFailed):
    """Body or headers are over what the broker takes on a connection."""


class HistoryUnavailable(BridgeError):
    """The database cannot be reached right now."""


class ListenFailed(BridgeError):
    """An address for HTTP cannot be listened on (in use, not ours, no right)."""


class AlreadyRunning(BridgeError):
    """Another process serves the same broker prefix with a SQLite history."""
