"""Phlix: its documentation, its admin pages, and detain/phlix-server `src/Webhooks`."""

from bridge.rules.catalogue.known import Catalogue, Known

CATALOGUE = Catalogue(
    system="phlix",
    title="Phlix",
    complete=True,
    note=(
        "The type is `event_type`. The first group is what webhooks subscribe to; `media.*` and `user.*` come from "
        "Phlix's second, unsigned pipeline of subscriptions, whose other names it accepts and never sends."
    ),
    events=(
        Known("playback.started", "somebody began to play something"),
        Known("playback.ended", "a playback ended, with its duration and whether it was completed"),
        Known("library.updated", "an item was added, removed, or got other metadata (`change_type`)"),
        Known("download.complete", "a download is complete"),
        Known("recording.started", "a recording began"),
        Known("recording.stopped", "a recording ended"),
        Known("alert", "the server warns of something"),
        Known("webhook.test", "somebody pressed Test"),
        Known("media.started", "subscription: somebody began to play something"),
        Known("media.played", "subscription: something was played"),
        Known("media.stopped", "subscription: a playback was stopped"),
        Known("media.added", "subscription: an item was added"),
        Known("user.login", "subscription: a user logged in"),
        Known("user.logout", "subscription: a user logged out"),
        Known("user.created", "subscription: a user was created"),
    ),
)
