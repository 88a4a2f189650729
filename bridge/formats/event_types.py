"""Catalogues of known event types, for completion and documentation. Cockpit 1: the events that its webhook form
offers; agentejo/cockpit, `cockpit.webhook.events`.
"""

from collections.abc import Iterator

from bridge.core.base import value

# The entries of a catalogue.


@value(frozen=True, slots=True)
class KnownEventType:
    """An event type of a system, with a one-line description.

    If a word of the type is a user-defined name, such as a collection's, `*` replaces it; `type` is then a pattern that
    matches all of these types.
    """

    type: str
    meaning: str

    @property
    def is_pattern(self) -> bool:
        """Returns whether the type is a pattern."""
        return "*" in self.type


@value(frozen=True, slots=True)
class Catalogue:
    """The catalogue of one system's event types.

    `system` is the name of its format, except for tiki, whose events an inlet names. `complete`: the system publishes
    its full list; `note` has further remarks.
    """

    system: str
    title: str
    complete: bool
    note: str
    events: tuple[KnownEventType, ...]


_NAMED = (
    ("collections.find.before", "collection", "entries of a collection are about to be looked for"),
    ("collections.find.after", "collection", "entries of a collection were found"),
    ("collections.save.before", "collection", "an entry is about to be saved"),
    ("collections.save.after", "collection", "an entry was saved"),
    ("collections.remove.before", "collection", "entries are about to be removed, with the criteria"),
    ("collections.remove.after", "collection", "entries were removed: how many, not which"),
    ("collections.reorder", "collection", "entries were put into another order"),
    ("collections.updatecollection", "collection", "the definition of a collection was changed"),
    ("collections.removecollection", "collection", "a collection was removed"),
    ("forms.save.before", "form", "an entry of a form is about to be saved"),
    ("forms.save.after", "form", "an entry of a form was saved"),
    ("singleton.getData.after", "singleton", "the data of a singleton were read"),
    ("singleton.saveData.before", "singleton", "the data of a singleton are about to be saved"),
    ("singleton.saveData.after", "singleton", "the data of a singleton were saved"),
    ("singleton.save.before", "singleton", "the definition of a singleton is about to be saved"),
    ("singleton.save.after", "singleton", "the definition of a singleton was saved"),
    ("singleton.remove", "singleton", "a singleton was removed"),
)
"""Events that exist twice: as named here, and with the object's name appended."""
_OTHERS = (
    KnownEventType("collections.createcollection", "a collection was created"),
    KnownEventType("forms.submit.before", "a form was filled in, and is about to be handled"),
    KnownEventType("forms.submit.after", "a form was filled in"),
    KnownEventType("cockpit.assets.list", "assets were listed"),
    KnownEventType("cockpit.assets.save", "assets were saved"),
    KnownEventType("cockpit.assets.remove", "assets were removed"),
    KnownEventType("cockpit.media.upload", "files were uploaded, or not"),
    KnownEventType("cockpit.media.rename", "a file was renamed"),
    KnownEventType("cockpit.media.removefiles", "files were removed"),
    KnownEventType("cockpit.account.login", "a user logged in"),
    KnownEventType("cockpit.account.logout", "a user logged out"),
    KnownEventType("cockpit.api.authenticate", "a request to the API is being authenticated"),
    KnownEventType("cockpit.api.erroronrequest", "a request to the API failed, with route and message"),
    KnownEventType("cockpit.request.error", "a request failed"),
    KnownEventType("cockpit.update.before", "Cockpit is about to update itself"),
    KnownEventType("cockpit.update.after", "Cockpit has updated itself"),
    KnownEventType("cockpit.export", "data are exported"),
    KnownEventType("cockpit.import", "data are imported"),
    KnownEventType("cockpit.clearcache", "the cache was emptied"),
    KnownEventType("cockpit.bootstrap", "Cockpit begins a request (very often)"),
    KnownEventType("admin.dashboard.widgets", "the dashboard is put together"),
    KnownEventType("cockpit.rest.init", "the API is put together"),
    KnownEventType("admin.init", "the admin pages are put together"),
    KnownEventType("app.*.init", "a controller is put together"),
    KnownEventType("shutdown", "a request ends (very often)"),
)


def _all() -> Iterator[KnownEventType]:
    for name, of, meaning in _NAMED:
        yield KnownEventType(name, meaning)
        yield KnownEventType(f"{name}.*", f"the same for one {of}, whose name is the last word")
    yield from _OTHERS


COCKPIT = Catalogue(
    system="cockpit",
    title="Cockpit",
    complete=False,
    note=(
        "The type is `event` of a version 1 webhook. Addons may send others. Bodies of version 2 do not say which "
        "event it was: an inlet takes that from its path or a header (`event_type_path`, `event_type_header`)."
    ),
    events=tuple(_all()),
)


# Phlix: its documentation, its admin pages, and detain/phlix-server `src/Webhooks`.


PHLIX = Catalogue(
    system="phlix",
    title="Phlix",
    complete=True,
    note=(
        "The type is `event_type`. The first group is what webhooks subscribe to; `media.*` and `user.*` come from "
        "Phlix's second, unsigned pipeline of subscriptions, whose other names it accepts and never sends."
    ),
    events=(
        KnownEventType("playback.started", "somebody began to play something"),
        KnownEventType("playback.ended", "a playback ended, with its duration and whether it was completed"),
        KnownEventType(
            "library.updated", "an item was added, removed, or got other metadata (`change_type`)"
        ),
        KnownEventType("download.complete", "a download is complete"),
        KnownEventType("recording.started", "a recording began"),
        KnownEventType("recording.stopped", "a recording ended"),
        KnownEventType("alert", "the server warns of something"),
        KnownEventType("webhook.test", "somebody pressed Test"),
        KnownEventType("media.started", "subscription: somebody began to play something"),
        KnownEventType("media.played", "subscription: something was played"),
        KnownEventType("media.stopped", "subscription: a playback was stopped"),
        KnownEventType("media.added", "subscription: an item was added"),
        KnownEventType("user.login", "subscription: a user logged in"),
        KnownEventType("user.logout", "subscription: a user logged out"),
        KnownEventType("user.created", "subscription: a user was created"),
    ),
)


# Plinqx: the ten events of its documentation.


PLINQX = Catalogue(
    system="plinqx",
    title="Plinqx",
    complete=True,
    note="The type is `event`, which the header `X-Plinqx-Event` repeats.",
    events=(
        KnownEventType("approval.requested", "somebody has to approve something"),
        KnownEventType("approval.completed", "an approval was decided"),
        KnownEventType("approval.expired", "nobody decided in time"),
        KnownEventType("tool.called", "a tool was called"),
        KnownEventType("tool.error", "a tool failed"),
        KnownEventType("invocation.started", "an invocation began"),
        KnownEventType("invocation.completed", "an invocation ended well, with its result"),
        KnownEventType("invocation.failed", "an invocation failed"),
        KnownEventType("connection.health_changed", "a connection became well or unwell"),
        KnownEventType("connection.credential_expiring", "the credential of a connection expires soon"),
    ),
)


# Splynx: the types in its documentation, its samples and public receivers; its full list is not published. A type is
# composed of the last two parts of `data.model` and of `data.action`: see bridge.formats.platforms.


SPLYNX = Catalogue(
    system="splynx",
    title="Splynx",
    complete=False,
    note=(
        "Splynx publishes no list of its events. These are the ones that its documentation, samples and public "
        "receivers show; a hook in Splynx can choose many more. The type is made of the last two parts of "
        "`data.model` and of `data.action`, in lower case: `models\\admin\\customers\\Customer` and `create` give "
        "`customers.customer.create`. Usual actions are `create`, `update`, `delete` and `get_list`; failed ones are "
        'reported too, so filter with `event.data.result == "success"`. Where a message has no model, its `call` '
        "is the type: `customer/create` gives `customer.create`."
    ),
    events=(
        KnownEventType("customers.customer.create", "a customer was created"),
        KnownEventType("customers.customer.update", "a customer was changed"),
        KnownEventType("customers.customer.delete", "a customer was deleted"),
        KnownEventType("finance.payments.create", "a payment was entered"),
        KnownEventType("administration.locations.delete", "a location was deleted"),
        KnownEventType(
            "administration.locations.get_list", "the list of locations was looked at (noise, for most)"
        ),
        KnownEventType(
            "administration.partners.get_list", "the list of partners was looked at (noise, for most)"
        ),
        KnownEventType("customer.create", "a customer was created, in messages without a model"),
        KnownEventType("customer.update", "a customer was changed, in messages without a model"),
        KnownEventType("invoice.create", "an invoice was made, in messages without a model"),
        KnownEventType("tickets.ticket.update", "a ticket was changed, in messages without a model"),
        KnownEventType("ping", "Splynx tries an endpoint"),
    ),
)


# Tiki: one event, triggered for every webhook that it has received and verified.


TIKI = Catalogue(
    system="tiki",
    title="Tiki",
    complete=True,
    note="An inlet in Tiki's place gives its events this type by `event_type: tiki.webhook.received`.",
    events=(KnownEventType("tiki.webhook.received", "a webhook was received and verified"),),
)


# The catalogues of all platforms. Types outside of the catalogues are valid, too.


CATALOGUES: tuple[Catalogue, ...] = (
    SPLYNX,
    PHLIX,
    PLINQX,
    COCKPIT,
    TIKI,
)


def catalogue_of(system: str) -> Catalogue | None:
    """Returns the catalogue of a system by the name of its format, None if there is none."""
    return next((catalogue for catalogue in CATALOGUES if catalogue.system == system), None)


def beginning_with(text: str) -> list[KnownEventType]:
    """Returns the event types of all systems that begin with `text`, without patterns."""
    return [
        known
        for catalogue in CATALOGUES
        for known in catalogue.events
        if known.type.startswith(text) and not known.is_pattern
    ]
