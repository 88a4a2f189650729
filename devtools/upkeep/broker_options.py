"""The options of `./dev broker`: without what is imported to run it, for its help."""

import argparse


def parser() -> argparse.ArgumentParser:
    """Reads them."""
    made = argparse.ArgumentParser(prog="./dev broker", description="Start a private broker until Ctrl-C.")
    made.add_argument("--management", action="store_true", help="with the management UI")
    made.add_argument("--plugin", action="append", default=[], help="enable a plugin (repeatable)")
    made.add_argument("--config", action="append", default=[], metavar="LINE", help="a line of rabbitmq.conf")
    return made
