"""Logging: console lines on a terminal, JSON lines elsewhere, and every library's logging through the same door."""

import json
import logging
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from bridge.telemetry.repeats import Repeats

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

QUIET = dict.fromkeys(("aiohttp", "alembic", "asyncio", "sqlalchemy"), logging.WARNING) | dict.fromkeys(
    ("aio_pika", "aiormq"), logging.CRITICAL
)
"""From which weight on a library is heard: INFO concerns its own developers, and what the AMQP libraries call
an error (each failed connect) our supervision tells in its own words."""


def set_up(level: Level, form: Format, stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (standard error), in place of what was set up before.

    JSON lines have `time` (RFC 3339, UTC), `level`, `logger`, `event` and the fields of the event.
    """
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_console(colors=stream.isatty()) if console else _json()),
            ],
        )
    )
    structlog.configure(
        processors=[Repeats(), *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    _route(handler, level)


def _route(handler: logging.Handler, level: Level) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.captureWarnings(capture=True)


def _console(*, colors: bool) -> list[Processor]:
    return [
        _plain_text,
        structlog.dev.ConsoleRenderer(
            colors=colors,
            timestamp_key="time",
            pad_event_to=28,
            exception_formatter=structlog.dev.plain_traceback,  # the others show locals, and so secrets
        ),
    ]


def _json() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=json_line),
    ]


def json_line(value: Any, **_: Any) -> str:
    """One line of JSON, whatever the fields hold: publishers' text may have lone surrogates or huge integers."""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return json.dumps(value, default=str, separators=(",", ":"))


def _plain_text(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """No control characters: what a publisher sends must not steer the terminal of who reads the log."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = ascii(value)[1:-1]
    return event
