"""Which sources a hook listens to."""

from bridge.model.hook import Hook
from bridge.model.source import OWN_EVENTS


def listens(hook: Hook, source: str) -> bool:
    """Whether events of the source are looked at for the hook.

    One that names no sources listens to all that people set up; the bridge's own events it has to ask for by name.
    """
    return source != OWN_EVENTS if hook.sources is None else source in hook.sources
