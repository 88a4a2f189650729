"""The catalogues of all systems, for completion and documentation; what is in none is an event type all the same."""

from bridge.rules.catalogue import cockpit, phlix, plinqx, splynx, tiki
from bridge.rules.catalogue.known import Catalogue, Known

CATALOGUES: tuple[Catalogue, ...] = (
    splynx.CATALOGUE,
    phlix.CATALOGUE,
    plinqx.CATALOGUE,
    cockpit.CATALOGUE,
    tiki.CATALOGUE,
)


def catalogue_of(system: str) -> Catalogue | None:
    """The catalogue of a system by the name of its format, None where there is none."""
    return next((catalogue for catalogue in CATALOGUES if catalogue.system == system), None)


def beginning_with(text: str) -> list[Known]:
    """The event types that begin with `text`, in every system, without those that stand for many."""
    return [
        known
        for catalogue in CATALOGUES
        for known in catalogue.events
        if known.type.startswith(text) and not known.is_pattern
    ]
