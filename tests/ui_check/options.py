"""The options of `./dev ui-check`: without what is imported to run it, for its help."""

import argparse

EPILOG = """\
Without --url a private broker, a bridge with SQLite and a receiver are started on 127.0.0.1, and filled with hooks, events,
failures and refused messages whose texts are hostile. With --url a bridge that runs is taken: hooks, events and tokens whose
names begin with ui-check are made there and removed again (events stay), and what needs more than its API is left out.

exit codes: 0 all points hold, 1 they do not, 2 something is missing or a wrong command, 130 interrupted
"""


def parser() -> argparse.ArgumentParser:
    """Reads them."""
    made = argparse.ArgumentParser(
        prog="./dev ui-check",
        description="Check the operator UI of a running bridge in Chromium, point by point.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--url", help="address of a bridge that runs (default: one is started)")
    made.add_argument("--token", help="its token of the role admin, with --url")
    made.add_argument(
        "--point", type=int, action="append", metavar="N", help="check this point alone; repeatable"
    )
    made.add_argument(
        "--large",
        type=int,
        default=0,
        metavar="COUNT",
        help="fill the history of the bridge that is started with so many deliveries first, such as 1000000",
    )
    made.add_argument("--quick", action="store_true", help="fewer combinations: what `./dev test` runs")
    made.add_argument("--list", action="store_true", help="print the points and end")
    return made
