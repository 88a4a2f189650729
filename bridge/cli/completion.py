"""What the shell is offered where an option takes one of many known words."""


def event_types(incomplete: str) -> list[tuple[str, str]]:
    """The event types of the catalogues that begin with what was typed, each with its meaning."""
    from bridge.rules.catalogue.systems import beginning_with

    return [(known.type, known.meaning) for known in beginning_with(incomplete)]
