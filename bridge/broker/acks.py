"""Which delivery tags of a channel may be acknowledged now, in as few frames as possible."""

from collections.abc import Iterator


class AckTracker:
    """The open and finished delivery tags of one channel.

    Tags arrive in rising order. One `multiple` ack covers everything up to the first open tag; finished tags
    above it are acked one by one, so that a slow attempt never holds back the acks of the fast ones. A tag is
    given out once: the broker answers a repeated one with 406 and closes the channel.
    """

    def __init__(self) -> None:
        self._open: dict[int, None] = {}
        self._finished: list[int] = []

    @property
    def open(self) -> int:
        """How many tags are neither finished nor given back."""
        return len(self._open)

    def arrived(self, tag: int) -> None:
        """A message came in with this tag."""
        self._open[tag] = None

    def finish(self, tag: int) -> bool:
        """Mark as done; False where the tag was done before."""
        if tag not in self._open:
            return False
        del self._open[tag]
        self._finished.append(tag)
        return True

    def give_back(self, tag: int) -> bool:
        """Take the tag out without an ack (it is nacked); False where it was done before."""
        return self._open.pop(tag, self) is None

    def take(self) -> Iterator[tuple[int, bool]]:
        """The acks to send now, as (tag, multiple), each tag once.

        The `multiple` ack names the highest finished tag below the first open one: that tag is outstanding for
        certain, which the broker demands (it answers 406 to a tag that it does not hold).
        """
        finished, self._finished = self._finished, []
        if not finished:
            return
        first_open = next(iter(self._open), None)
        below = finished if first_open is None else [tag for tag in finished if tag < first_open]
        if below:
            yield max(below), True
        if first_open is not None:
            for tag in finished:
                if tag > first_open:
                    yield tag, False
