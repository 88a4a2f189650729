"""The options of `./dev run`: without what is imported to run it, for its help."""

import argparse

DESCRIPTION = """\
Start a broker, a receiver that verifies signatures, and the bridge with examples/quickstart/bridge.yaml;
publish sample events, show the deliveries, and stay until Ctrl-C. A second Ctrl-C ends at once.
With BRIDGE_BROKER__URL the broker there is used; nothing that it holds is touched, and what the demo makes
on it is removed at the end."""


def parser() -> argparse.ArgumentParser:
    """Reads them."""
    made = argparse.ArgumentParser(
        prog="./dev run", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--check", action="store_true", help="exit 0 only if every delivery succeeds")
    return made
