"""What each setting allows alone, but two of them together do not."""

from collections.abc import Iterator, Sequence

from bridge.model.hook import Hook
from bridge.model.target import QueueTarget
from bridge.settings.document import Path
from bridge.settings.shape import nearest
from bridge.settings.tree import Settings


def contradictions(settings: Settings) -> Iterator[tuple[Path, str]]:
    """The path of every setting that does not fit the others, and why."""
    yield from _given_twice("sources", "name", [source.name for source in settings.sources])
    yield from _given_twice("sources", "queue", [source.queue for source in settings.sources])
    yield from _given_twice("hooks", "name", [hook.name for hook in settings.hooks])
    sources = [source.name for source in settings.sources]
    brokers = list(settings.brokers)
    for index, hook in enumerate(settings.hooks):
        yield from _unknown_sources(("hooks", index, "sources"), hook, sources)
        if isinstance(hook.target, QueueTarget) and hook.target.broker not in {None, *brokers}:
            hint = nearest(str(hook.target.broker), brokers)
            path = ("hooks", index, "target", "broker")
            yield path, f"no broker {hook.target.broker!r} under `brokers`{hint}"


def _given_twice(section: str, key: str, values: Sequence[str]) -> Iterator[tuple[Path, str]]:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value in first:
            yield (section, index, key), f"{value!r} is already the {key} of {section}[{first[value]}]"
        first.setdefault(value, index)


def _unknown_sources(path: Path, hook: Hook, known: Sequence[str]) -> Iterator[tuple[Path, str]]:
    for index, name in enumerate(hook.sources or ()):
        if name not in known:
            yield (*path, index), f"no source {name!r}{nearest(name, known)}"
