"""What a demo came to, found out from the history, the receiver and the broker, not from the bridge's word."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

WAITING = ("PENDING", "RETRYING")


@dataclass(frozen=True)
class Tally:
    """What the history holds: events, and deliveries by hook, target and status."""

    events: int
    deliveries: Counter[tuple[str, str, str]]

    @classmethod
    def of(cls, history: Path) -> "Tally":
        """Read it; the bridge may go on writing meanwhile."""
        with closing(sqlite3.connect(f"{history.as_uri()}?mode=ro", uri=True, timeout=10)) as database:
            (events,) = database.execute("select count(*) from events").fetchone()
            rows = database.execute("select hook, target, status, count(*) from deliveries group by 1, 2, 3")
            return cls(
                events, Counter({(hook, target, status): count for hook, target, status, count in rows})
            )

    @property
    def waiting(self) -> int:
        """Deliveries without a final status."""
        return sum(count for (_, _, status), count in self.deliveries.items() if status in WAITING)

    def delivered(self, target: str) -> int:
        """Successful deliveries to targets of this type."""
        return sum(
            n for (_, kind, status), n in self.deliveries.items() if (kind, status) == (target, "SUCCESS")
        )


@dataclass(frozen=True)
class Evidence:
    """All that the verdict rests on, gathered after the bridge has stopped."""

    tally: Tally
    hooks: Sequence[str]
    published: Sequence[bytes]
    copied: Sequence[bytes]
    left_in_source: int | None
    receiver_lines: Sequence[str]
    exit_code: int

    @property
    def verified(self) -> int:
        """Requests with a good signature."""
        return sum(line.startswith("verified") for line in self.receiver_lines)

    @property
    def failed_at_first(self) -> int:
        """Requests that the receiver answered with 503 on purpose."""
        return sum(line.startswith("answered") for line in self.receiver_lines)

    def complaints(self) -> Iterator[str]:
        """One line for each thing that is not as it must be; none: all is well."""
        yield from self._about_the_history()
        refused = [line for line in self.receiver_lines if not line.startswith(("verified", "answered"))]
        yield from (f"a webhook could not be verified: {line}" for line in refused)
        if self.verified != (sent := self.tally.delivered("webhook")):
            yield f"the receiver verified {self.verified} webhooks, the history has {sent} as delivered"
        if sorted(self.copied) != sorted(self.published):
            same = len(Counter(self.copied) & Counter(self.published))
            yield f"of {len(self.published)} messages {same} are in the target queue byte for byte"
        if self.left_in_source != 0:
            left = "gone" if self.left_in_source is None else f"not empty: it holds {self.left_in_source}"
            yield f"the source queue is {left}"
        if self.exit_code != 0:
            yield f"the bridge ended with exit code {self.exit_code} after SIGTERM"

    def _about_the_history(self) -> Iterator[str]:
        if self.tally.events != len(self.published):
            yield f"the history has {self.tally.events} of {len(self.published)} events"
        for (hook, _, status), count in sorted(self.tally.deliveries.items()):
            if status != "SUCCESS":
                yield f"{count} deliveries of hook {hook} are {status}"
        idle = set(self.hooks) - {hook for hook, _, _ in self.tally.deliveries}
        yield from (f"hook {hook} was given nothing" for hook in sorted(idle))

    def summary(self) -> str:
        """The good news in one line."""
        return (
            f"{self.tally.events} events, {self.tally.deliveries.total()} deliveries, all SUCCESS; {self.verified}"
            f" signatures verified; {self.failed_at_first} failures tried again; {len(self.copied)} bodies copied byte for byte; source empty"
        )
