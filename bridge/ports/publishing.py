"""What makes a publish that is asked for twice happen once."""

from typing import Literal, Protocol

from bridge.model.value import value


@value(frozen=True, slots=True)
class Begun:
    """Whether to go on with a request under an idempotency key.

    go: nobody has, or whoever did failed or is gone; `answer` is what to answer then, of the first who began. done:
    answered with `answer` before. other: the key belongs to another request. busy: it is under way.
    """

    state: Literal["go", "done", "other", "busy"]
    answer: str = ""


class Idempotency(Protocol):
    """Requests under way and done, by key. All raise HistoryUnavailable."""

    async def begin(self, key: str, request: str, answer: str, at: float) -> Begun:
        """Take the key for the request with this digest, which plans this answer; keys of more than a day before
        are forgotten.
        """
        ...

    async def done(self, key: str) -> None:
        """The planned answer was given."""
        ...

    async def failed(self, key: str) -> None:
        """Nothing was accepted: whoever asks again begins anew, with the same planned answer."""
        ...
