"""`amqp-bridge find`."""

from typing import Annotated

from typer import Argument

from bridge.terminal.options import RemoteCommands, examples
from bridge.terminal.paper import ListView, column
from bridge.terminal.remote import Remote

FOUND = ListView(
    "nothing has this id or name",
    column("kind"),
    column("id", least=12),
    column("name", least=12, drop=1),
    column("by", drop=2),
)

app = RemoteCommands()


@app.remote(
    epilog=examples("""
amqp-bridge find 01987a5c-2f3e-7cc1
amqp-bridge find order-4711
amqp-bridge find crm
""")
)
def find(
    to: Remote,
    text: Annotated[str, Argument(metavar="TEXT", help="An id of any kind, or a name.", show_default=False)],
) -> None:
    """Find what an id or a name stands for."""
    to.show("/find", FOUND, {"q": text})
