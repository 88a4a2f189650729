"""What a catalogue of event types is made of."""

from bridge.model.value import value


@value(frozen=True, slots=True)
class Known:
    """An event type that a system sends, with its meaning in one line.

    Where a word of the type is a name that people choose, such as a collection's, `*` stands in its place: then
    `type` is the pattern that matches all of them.
    """

    type: str
    meaning: str

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for many types."""
        return "*" in self.type


@value(frozen=True, slots=True)
class Catalogue:
    """The event types of one system.

    `system` is the name of its format, except for tiki, whose events an inlet names. `complete` says whether the
    system's own list is public, so that there are no others; `note` is what else one has to know of it.
    """

    system: str
    title: str
    complete: bool
    note: str
    events: tuple[Known, ...]
