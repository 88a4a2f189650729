"""Splynx: what its documentation, its samples and public receivers show; its own list is not published.

The type is made of the last two parts of `data.model` and of `data.action`: see bridge.rules.formats.splynx.
"""

from bridge.rules.catalogue.known import Catalogue, Known

CATALOGUE = Catalogue(
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
        Known("customers.customer.create", "a customer was created"),
        Known("customers.customer.update", "a customer was changed"),
        Known("customers.customer.delete", "a customer was deleted"),
        Known("finance.payments.create", "a payment was entered"),
        Known("administration.locations.delete", "a location was deleted"),
        Known("administration.locations.get_list", "the list of locations was looked at (noise, for most)"),
        Known("administration.partners.get_list", "the list of partners was looked at (noise, for most)"),
        Known("customer.create", "a customer was created, in messages without a model"),
        Known("customer.update", "a customer was changed, in messages without a model"),
        Known("invoice.create", "an invoice was made, in messages without a model"),
        Known("tickets.ticket.update", "a ticket was changed, in messages without a model"),
        Known("ping", "Splynx tries an endpoint"),
    ),
)
