"""What a fault test measured, for the table in docs/reliability.md: shown with `pytest --log-cli-level=WARNING`."""

import logging

_log = logging.getLogger("measured")


def measured(**figures: object) -> None:
    """Tell figures, such as `repeated` (requests too many) and `recovery` (seconds), in the order given."""
    _log.warning(
        ", ".join(
            f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}"
            for name, value in figures.items()
        )
    )
