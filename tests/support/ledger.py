"""The books of a run at rest: where every published event is for every hook, and whether all sums agree."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

STATES = ("delivered", "waiting", "failed", "skipped", "quarantined", "at source", "lost")
"""Where an event can be for a hook; of several the first counts. The last one must be empty."""
SHOWN = 5
ENDED = {"SUCCESS": "delivered", "FAILED": "failed", "SKIPPED": "skipped"}


@dataclass(frozen=True, slots=True)
class Copy:
    """A message of the bridge's own in a lane, on the ladder, in `dead` or in `orphans`."""

    queue: str
    hook: str
    delivery: str
    publisher_id: str


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery as the history has it."""

    publisher_id: str
    hook: str
    delivery: str
    status: str


@dataclass(frozen=True)
class Books:
    """What was seen when everything had come to rest. Events go by their publisher's id.

    `sent`: how often each id was published, confirmed or not, all of them confirmed at least once; `answered`: how
    often the hook's endpoint answered 2xx to which id; `stores`: the queues that copies should never be in; `counts`:
    how many messages the broker says each queue holds.
    """

    hooks: Sequence[str]
    sent: Mapping[str, int]
    answered: Mapping[str, Mapping[str, int]]
    rows: Sequence[Row]
    quarantined: Mapping[str, int] = field(default_factory=dict)
    at_source: Mapping[str, int] = field(default_factory=dict)
    copies: Sequence[Copy] = ()
    stores: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    source: str = "source"


@dataclass(frozen=True)
class HookBalance:
    """One hook's part: how many events are where, and how often its endpoint took one that it had already."""

    hook: str
    events: Mapping[str, int]
    repeated: int
    """2xx answers beyond the first to each id."""
    sent_again: int
    """Of these at most so many because the publisher sent the id again."""

    def __str__(self) -> str:
        places = ", ".join(f"{self.events[state]:,} {state}" for state in STATES if self.events.get(state))
        return f"{self.hook}: {places or 'nothing'}; repeated {self.repeated:,} times"


@dataclass(frozen=True)
class Balance:
    """The books' result; prints as lines."""

    published: int
    publishes: int
    hooks: Sequence[HookBalance]
    stale: int
    """Copies of deliveries that ended already: whoever meets them drops them."""
    problems: Sequence[str]

    @property
    def adds_up(self) -> bool:
        """Nothing is lost, nothing is unaccounted for, and the broker's counts agree."""
        return not self.problems

    def of(self, hook: str) -> HookBalance:
        """One hook's part."""
        return next(each for each in self.hooks if each.hook == hook)

    def __str__(self) -> str:
        again = self.publishes - self.published
        lines = [f"published {self.published:,} events (sent again without a confirm: {again:,})"]
        lines += [f"  {each}" for each in self.hooks]
        lines += [f"  stale copies: {self.stale:,}"] if self.stale else []
        return "\n".join([*lines, *(f"  DOES NOT ADD UP: {problem}" for problem in self.problems)])


def balance(books: Books) -> Balance:
    """Where everything is, and all that does not agree."""
    hooks = [_hook_balance(books, hook) for hook in books.hooks]
    ended = {row.delivery for row in books.rows if row.status in ENDED}
    return Balance(
        published=len(books.sent),
        publishes=sum(books.sent.values()),
        hooks=hooks,
        stale=sum(copy.delivery in ended for copy in books.copies),
        problems=[
            *_lost(books),
            *_invented(books),
            *_never_answered(books),
            *_waiting_nowhere(books),
            *_stored(books, ended),
            *_miscounted(books),
        ],
    )


def whereabouts(books: Books, hook: str) -> dict[str, str]:
    """The state of each published event for the hook."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in books.rows:
        if row.hook == hook:
            found[row.publisher_id].add(ENDED.get(row.status, ""))
    for copy in books.copies:
        if copy.hook == hook:
            found[copy.publisher_id].add("waiting")
    for state, ids in (("quarantined", books.quarantined), ("at source", books.at_source)):
        for publisher_id in ids:
            found[publisher_id].add(state)
    return {
        publisher_id: next((state for state in STATES if state in found[publisher_id]), "lost")
        for publisher_id in books.sent
    }


def _hook_balance(books: Books, hook: str) -> HookBalance:
    answers = books.answered.get(hook, {})
    return HookBalance(
        hook=hook,
        events=Counter(whereabouts(books, hook).values()),
        repeated=sum(answers.values()) - len(answers),
        sent_again=sum(books.sent.get(publisher_id, 1) - 1 for publisher_id in answers),
    )


def _lost(books: Books) -> Iterable[str]:
    for hook in books.hooks:
        lost = [publisher_id for publisher_id, state in whereabouts(books, hook).items() if state == "lost"]
        yield from _told(f"lost for {hook}", lost)


def _invented(books: Books) -> Iterable[str]:
    known = {row.publisher_id for row in books.rows} | set(books.quarantined) | set(books.at_source)
    yield from _told("known but never published", sorted(known - set(books.sent)))


def _never_answered(books: Books) -> Iterable[str]:
    for hook in books.hooks:
        answers = books.answered.get(hook, {})
        recorded = {row.publisher_id for row in books.rows if row.hook == hook and row.status == "SUCCESS"}
        yield from _told(
            f"recorded as delivered to {hook}, which never got it", sorted(recorded - set(answers))
        )


def _waiting_nowhere(books: Books) -> Iterable[str]:
    """A delivery without an end has a copy, or nothing will ever go on with it."""
    waiting = {copy.delivery for copy in books.copies if copy.queue not in books.stores}
    stuck = [row for row in books.rows if row.status not in ENDED and row.delivery not in waiting]
    yield from _told(
        "waiting in the history and nowhere else",
        [f"{row.publisher_id} for {row.hook} ({row.status}, {row.delivery})" for row in stuck],
    )


def _stored(books: Books, ended: set[str]) -> Iterable[str]:
    for store in sorted(books.stores):
        open_ones = [
            f"{copy.publisher_id} for {copy.hook}"
            for copy in books.copies
            if copy.queue == store and copy.delivery not in ended
        ]
        yield from _told(f"in {store} without an end", open_ones)


def _miscounted(books: Books) -> Iterable[str]:
    seen = Counter(copy.queue for copy in books.copies)
    seen[books.source] += sum(books.at_source.values())
    for queue, count in sorted(books.counts.items()):
        if seen[queue] != count:
            yield f"the broker counts {count} in {queue}, {seen[queue]} were found there"


def _told(what: str, found: Sequence[str]) -> Iterable[str]:
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield f"{len(found):,} {what}: {', '.join(found[:SHOWN])}{more}"
