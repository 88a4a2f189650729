"""Headers of which only the name counts, not how it is capitalised on its way."""

from collections.abc import Mapping
from typing import Any


def by_lower_name(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The headers under their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}
