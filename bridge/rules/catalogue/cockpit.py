"""Cockpit 1: the events that its form for webhooks offers; agentejo/cockpit, `cockpit.webhook.events`."""

from collections.abc import Iterator

from bridge.rules.catalogue.known import Catalogue, Known

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
"""Each comes twice: as it is, and once more with the name of what it is about at its end."""
_OTHERS = (
    Known("collections.createcollection", "a collection was created"),
    Known("forms.submit.before", "a form was filled in, and is about to be handled"),
    Known("forms.submit.after", "a form was filled in"),
    Known("cockpit.assets.list", "assets were listed"),
    Known("cockpit.assets.save", "assets were saved"),
    Known("cockpit.assets.remove", "assets were removed"),
    Known("cockpit.media.upload", "files were uploaded, or not"),
    Known("cockpit.media.rename", "a file was renamed"),
    Known("cockpit.media.removefiles", "files were removed"),
    Known("cockpit.account.login", "a user logged in"),
    Known("cockpit.account.logout", "a user logged out"),
    Known("cockpit.api.authenticate", "a request to the API is being authenticated"),
    Known("cockpit.api.erroronrequest", "a request to the API failed, with route and message"),
    Known("cockpit.request.error", "a request failed"),
    Known("cockpit.update.before", "Cockpit is about to update itself"),
    Known("cockpit.update.after", "Cockpit has updated itself"),
    Known("cockpit.export", "data are exported"),
    Known("cockpit.import", "data are imported"),
    Known("cockpit.clearcache", "the cache was emptied"),
    Known("cockpit.bootstrap", "Cockpit begins a request (very often)"),
    Known("admin.dashboard.widgets", "the dashboard is put together"),
    Known("cockpit.rest.init", "the API is put together"),
    Known("admin.init", "the admin pages are put together"),
    Known("app.*.init", "a controller is put together"),
    Known("shutdown", "a request ends (very often)"),
)


def _all() -> Iterator[Known]:
    for name, of, meaning in _NAMED:
        yield Known(name, meaning)
        yield Known(f"{name}.*", f"the same for one {of}, whose name is the last word")
    yield from _OTHERS


CATALOGUE = Catalogue(
    system="cockpit",
    title="Cockpit",
    complete=False,
    note=(
        "The type is `event` of a version 1 webhook. Addons may send others. Bodies of version 2 do not say which "
        "event it was: an inlet takes that from its path or a header (`event_type_path`, `event_type_header`)."
    ),
    events=tuple(_all()),
)
