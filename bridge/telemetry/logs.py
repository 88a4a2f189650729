"""Logging: console lines on a terminal, JSON lines elsewhere, including the logs of all libraries."""

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog import DropEvent
from structlog.typing import EventDict, Processor, WrappedLogger

# The limit of repeated lines: in an outage, a bug or an attack, the first lines of an event are logged, the others counted.


REPEATED = frozenset(
    {
        "api.unavailable",
        "broker.channel_lost",
        "broker.message_not_taken",
        "connection.lost",
        "control.forged",
        "copy.failed",
        "copy.stale",
        "copy.taken_from_history",
        "hook.internal_error",
        "http.internal_error",
        "http.malformed",
        "intake.internal_error",
        "lane.cannot_delay",
        "lane.not_available",
        "orphan.not_parked",
        "orphan.unknown",
        "outbox.not_published",
        "redelivery_filter.history_unavailable",
    }
)
"""The events whose lines are limited: events that occur once per object must be logged for each."""
_ABOUT = ("hook", "role", "source", "consumer")
_TOLD = 10
_SECONDS = 10.0
_MOST_KEYS = 1000


class Repeats:
    """A processor that passes ten lines of an event per hook (or role, or source) in ten seconds.

    The next line has the number of omitted ones, as `left_out`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spans: dict[tuple[str, str], _Span] = {}

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Returns the line, with the number of lines omitted before it; raises DropEvent for a line beyond the limit."""
        name = event.get("event", "")
        if name not in REPEATED:
            return event
        now = self._clock()
        span = self._span((name, next((str(event[each]) for each in _ABOUT if each in event), "")), now)
        if now - span.began >= _SECONDS:
            if span.left_out:
                event["left_out"] = span.left_out
            span.began, span.told, span.left_out = now, 0, 0
        if span.told >= _TOLD:
            span.left_out += 1
            raise DropEvent
        span.told += 1
        return event

    def _span(self, key: tuple[str, str], now: float) -> "_Span":
        found = self._spans.get(key)
        if found is None:
            if len(self._spans) >= _MOST_KEYS:
                # Counts are dropped if an outage affects thousands of hooks: memory must not grow with their number.
                self._spans.clear()
            found = self._spans[key] = _Span(now)
        return found


class _Span:
    __slots__ = ("began", "left_out", "told")

    def __init__(self, began: float) -> None:
        self.began = began
        self.told = 0
        self.left_out = 0


Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

QUIET = dict.fromkeys(
    ("aiohttp", "alembic", "asyncio", "pydantic_settings", "sqlalchemy"), logging.WARNING
) | dict.fromkeys(("aio_pika", "aiormq", "opentelemetry"), logging.CRITICAL)
"""The minimum level of libraries: INFO is for their own developers, and the errors of the AMQP libraries (each failed connect) and
of the exporter of traces are logged by the bridge itself. pydantic-settings would log values, with secrets, if PYDANTIC_SETTINGS_DEBUG is set.
"""


def set_up(level: Level, form: Format, stream: TextIO | None = None) -> None:
    """Sends all logs to `stream` (standard error), replacing the previous setup.

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
            exception_formatter=structlog.dev.plain_traceback,  # the others show local variables, and so secrets
        ),
    ]


def _json() -> list[Processor]:
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=json_line),
    ]


def json_line(value: Any, **_: Any) -> str:
    """Returns one line of JSON for any fields: publishers' text may have lone surrogates or huge integers."""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return json.dumps(value, default=str, separators=(",", ":"))


def _plain_text(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Removes control characters: text from a publisher must not control the terminal on which the log is read."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = ascii(value)[1:-1]
    return event
