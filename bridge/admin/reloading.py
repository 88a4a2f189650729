"""What came of reading the hooks of the file anew."""

from collections.abc import Mapping, Sequence

from bridge.model.value import value


@value(frozen=True, slots=True)
class Reloaded:
    """Hooks by their ids; `broken` with the reasons, `needs_restart` are sections that changed and are not in force."""

    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[str]
    broken: Mapping[str, str]
    needs_restart: Sequence[str]
