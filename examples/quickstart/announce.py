#!/usr/bin/env python3
"""A script hook: reads one event's data from standard input, and says in one line what happened.

Exit code 0 succeeds, 65 (EX_DATAERR) fails for good, any other is tried again later.
"""

import json
import os
import sys

MALFORMED = 65


def main() -> int:
    """Announce the event; what is printed is kept in the history."""
    try:
        data = json.load(sys.stdin)
        attributes = data.get("attributes") or {}
        name = (
            attributes.get("name") or attributes.get("title") or attributes.get("number") or attributes["id"]
        )
    except (ValueError, AttributeError, KeyError) as error:
        print(f"not an event that can be announced: {error!r}", file=sys.stderr)
        return MALFORMED
    print(f"{os.environ.get('BRIDGE_EVENT_TYPE', 'event')}: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
