"""What commands print on standard output."""

import sys
from typing import Any

import orjson


def print_json(value: Any) -> None:
    """One JSON document, for programs."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
