"""Tiki: one event, which it triggers for every webhook that it has received and verified."""

from bridge.rules.catalogue.known import Catalogue, Known

CATALOGUE = Catalogue(
    system="tiki",
    title="Tiki",
    complete=True,
    note="An inlet in Tiki's place gives its events this type by `event_type: tiki.webhook.received`.",
    events=(Known("tiki.webhook.received", "a webhook was received and verified"),),
)
