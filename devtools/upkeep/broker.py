"""`./dev broker`: a broker to play with, until Ctrl-C."""

import time
from collections.abc import Sequence

from devtools.choice.broker import Broker, open_broker
from devtools.choice.container import lets_in
from devtools.project import SetupError, say
from devtools.upkeep.broker_options import parser


def main(arguments: Sequence[str]) -> int:
    """Prints the URL on stdout and stays until it is interrupted or the broker is gone."""
    options = parser().parse_args(arguments)
    plugins = ["rabbitmq_management", *options.plugin] if options.management else options.plugin
    with open_broker(plugins=plugins, config=options.config) as broker:
        tell(broker)
        while lets_in(broker.url):
            time.sleep(2)
        raise SetupError("the broker has gone")


def tell(broker: Broker) -> None:
    """Says how to reach the broker and how to end it."""
    print(broker.url, flush=True)
    if broker.management_url:
        say("management", broker.management_url)
    if broker.folder:
        say("files", str(broker.folder))
    say("broker", "Ctrl-C ends it and removes its data")
