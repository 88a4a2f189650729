"""`amqp-bridge inspect`."""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO, get_args

import typer
import uuid_utils
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer import Argument

from bridge.bodies.exact import json_text
from bridge.checks.configuration import misfit_of
from bridge.core.errors import Problem, SettingsError
from bridge.core.event import Event, FormatName, Message, Source, Undecodable
from bridge.events.inspection import (
    EventKey,
    ExplainedEvent,
    as_object,
    dead_letters,
    inspect,
    reason,
    source_of,
)
from bridge.events.message_json import unwrapped
from bridge.formats.decoder import Decoder, compile_told
from bridge.formats.parse import Bounds
from bridge.routing.dedupe_keys import Keys, keyed_by
from bridge.routing.table import MATCHING, Explanation, RoutingTable
from bridge.settings.loading import Loaded, load_with_places
from bridge.settings.shape import nearest
from bridge.settings.sources import ENV_FILE, SECRETS_DIR
from bridge.settings.tree import Settings
from bridge.terminal.groups import Commands, flag, option
from bridge.terminal.options import STDIN, content
from bridge.terminal.output import FAILED, usage
from bridge.terminal.paper import Column, paper, visible_lines
from bridge.wire.headers import SignedInletMarkReader

EXAMPLES = """\b
Examples:
  amqp-bridge inspect event.json                      a body alone
  amqp-bridge inspect --json --format splynx --timezone Europe/Prague event.json
  amqp-bridge inspect --json --message message.json   a whole message, such as
    {"exchange": "", "routing_key": "hooks2", "properties": {"message_id": "m-1", "type": "a.b"},
     "headers": {"x": 1}, "body": {"any": "JSON"}}
  amqp-bridge inspect -c bridge.yaml --source splynx event.json
  curl -s https://example.net/event.json | amqp-bridge inspect --json - | jq .type

\b
With --config, a body without properties is treated as published to the source's queue by `amqp-bridge publish`.
A body in the message is an object, a list, a number or null, sent as compact JSON, or text, sent as it is;
"body_base64" in its place holds any bytes. Properties are those of AMQP, the timestamp in Unix seconds or
RFC 3339. With --json each event is one line with format, type, publisher_id, time, data, source, webhook_id,
identity, headers, content_type; of a message with several events also position and events; dead_letters
where the broker dead-lettered it; data_fault where there are no data, and why; with --config hooks, each with hook, matches, decision, reason, and dedupe_key
where the source has dedupe (null: the event is never a duplicate; dedupe_fault has the reason). A message that would be quarantined is {"quarantined": reason, "detail": ...}, with exit code 1."""

_LONGEST_SHOWN = 4000
_LOOKED_AT = frozenset({"sources", "hooks", "inlets", "limits", "brokers"})

app = Commands()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of decoding; None: as configured for the source, else the default."""

    config: Path | None = None
    source: str | None = None
    format: str | None = None
    timezone: str | None = None


@app.local(
    epilog=EXAMPLES,
    own=(
        option("--config -c", "FILE", "Configuration whose hooks are matched.", Path),
        option(
            "--source -s",
            "NAME",
            "The message comes from this source. Default: the only one, or the one whose queue the message names.",
        ),
        option("--format -f", "FORMAT", "Format. Default: that of the source, else auto."),
        option("--timezone", "ZONE", "Time zone. Default: that of the source, else UTC."),
        flag("--message -m", "FILE holds a message with properties and headers, as JSON."),
        flag("--json", "Print each event as JSON on one line.", name="as_json"),
    ),
    name="inspect",
)
def inspect_command(
    file: Annotated[str | None, Argument(metavar="FILE", help="A file; - or none is standard input.")] = None,
    *,
    message: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Show how a message is decoded, and which hooks match.

    The reason is shown for each hook that does not match. Nothing is contacted, published or delivered. Formats: auto, splynx, phlix, plinqx, cockpit, cloudevents, celery, masstransit, nservicebus, spring, laravel, keycloak, oslo, debezium, gitlab, nestjs, symfony, dramatiq, standard, json.
    """
    chosen = Options(**options)
    if file is None and sys.stdin.isatty():
        raise usage("", "nothing to inspect: give a FILE, or - for standard input")
    body = content(file or STDIN)
    where = "standard input" if file in (None, STDIN) else str(file)
    found = unwrapped(body, where, partial(_note, where)) if message else Message(body)
    findings = findings_of(found, chosen, dict(os.environ), alone=not message)
    configured = chosen.config is not None
    for finding in findings:
        if as_json:
            sys.stdout.write(json_text(as_object(finding, configured=configured)) + "\n")
        else:
            _show(finding, sys.stdout, configured=configured)
    if any(isinstance(finding.found, Undecodable) for finding in findings):
        raise typer.Exit(FAILED)


# The findings as text for people: truncated and wrapped on a terminal, complete elsewhere.


def _show(finding: ExplainedEvent, stream: TextIO, *, configured: bool) -> None:
    out = paper(stream)
    if finding.place is not None:
        out.line(f"event {finding.place.position} of {finding.place.events}", "bold")
    if isinstance(finding.found, Undecodable):
        out.line(f"quarantined: {visible_lines(finding.found.reason)}", "bold red")
        out.line(f"  {visible_lines(finding.found.detail)}")
        return
    rows = [*_rows(finding.found, configured=configured), *_key_rows(finding.keyed)]
    written = _cut if stream.isatty() else visible_lines
    out.facts((name, written(value)) for name, value in rows)
    if configured and stream.isatty():
        _show_hooks(finding.hooks, Console(file=stream, highlight=False, markup=False, emoji=False))
    elif configured:
        out.table(_HOOKS, finding.hooks, "no hooks")


def _rows(event: Event, *, configured: bool) -> Iterator[tuple[str, str]]:
    yield "format", event.format
    yield "type", event.type
    yield "publisher id", event.publisher_id or "none"
    yield "time", event.time or "none"
    if configured:
        yield "source", event.source
    if event.identity:
        yield "identity", event.identity
    if event.message.headers:
        yield "headers", json_text(event.message.headers)
    for death in dead_letters(event.message):
        yield "dead letter", json_text(death)
    yield "body", f"{len(event.message.body)} bytes, {event.message.content_type or 'no content type'}"
    yield "data", f"none: {event.data_fault}" if event.data_fault else json_text(event.data)


def _key_rows(keyed: EventKey | None) -> Iterator[tuple[str, str]]:
    if keyed is not None:
        yield (
            "dedupe key",
            keyed.key or f"none: it is never a duplicate{keyed.fault and f' ({keyed.fault})'}",
        )


def _mark(each: Explanation) -> str:
    return "matches" if each.decision in MATCHING else each.decision.value


_HOOKS = (
    Column("hook", lambda each: each.hook.id),
    Column("", _mark),
    Column("why", lambda each: visible_lines(reason(each))),
)


def _show_hooks(hooks: tuple[Explanation, ...], console: Console) -> None:
    if not hooks:
        console.print("no hooks")
        return
    table = Table("hook", "", box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("why", overflow="fold")
    for each in hooks:
        mark = Text(_mark(each), style="green" if each.decision in MATCHING else "yellow")
        table.add_row(Text(each.hook.id), mark, Text(_cut(reason(each))))
    console.print(table)


def _cut(text: str) -> str:
    text = visible_lines(text)
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters; --json shows all)"


# The message, its source, and the findings.


class _AnyVariable(dict[str, str]):
    """An environment in which every variable is set: decoding and routing need no secret of any hook."""

    def __contains__(self, name: object) -> bool:
        return name not in {SECRETS_DIR, ENV_FILE} or super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Returns the variable, or a text that is also valid as a number and as true."""
        return super().get(name, "1" if name in self else default)

    def __missing__(self, name: str) -> str:
        return str(self.get(name))


def findings_of(
    message: Message, options: Options, env: dict[str, str], *, alone: bool
) -> list[ExplainedEvent]:
    """Returns the findings of the message; raises SettingsError for options or a configuration that are invalid.

    A body `alone` arrives as `publish` sends it: with the name of the source's queue as routing key.
    """
    if options.format is not None and options.format not in get_args(FormatName):
        known = list(get_args(FormatName))
        raise usage("--format", f"no format {options.format!r}{nearest(options.format, known)}")
    if options.config is None:
        decoder, table, keys = _plain_decoder(options), None, None
    else:
        decoder, table, keys, queue = _configured(options.config, message, options, env)
        message = replace(message, routing_key=queue) if alone else message
    return inspect(message, decoder, table, new_id=_new_id, received_at=time.time(), keys=keys)


def _note(where: str, text: str) -> None:
    typer.echo(f"note: {where}: {text}", err=True)


def _new_id() -> str:
    return str(uuid_utils.uuid7())


def _plain_decoder(options: Options) -> Decoder:
    if options.source is not None:
        raise usage("--source", "goes with --config")
    return Decoder(
        _changed(Source(name="none", queue="none"), options), arrivals=SignedInletMarkReader("", ())
    )


def _configured(
    config: Path, message: Message, options: Options, env: dict[str, str]
) -> tuple[Decoder, RoutingTable, Keys | None, str]:
    loaded = _loaded(config, env)
    settings = loaded.settings
    source = _source(settings, message, options.source)
    place = f"sources[{settings.sources.index(source)}]"
    path = f"{place}.schema"
    try:
        misfit = misfit_of(source, config.resolve().parent)
        for name, text in (("type", source.type), ("id", source.id)):
            path = f"{place}.{name}"
            if text is not None:
                compile_told(text)
        path = f"{place}.dedupe.by"
        keys = keyed_by(source)
        path = "hooks"
        table = RoutingTable(settings.hooks)
    except ValueError as error:
        raise SettingsError(loaded.located([Problem(path, str(error))])) from None
    decoder = Decoder(
        _changed(source, options),
        bounds=Bounds(settings.limits.inflated, settings.limits.values),
        max_body=settings.limits.body,
        max_headers=settings.limits.headers,
        arrivals=SignedInletMarkReader(source.name, settings.inlets),
        misfit=misfit,
    )
    return decoder, table, keys, source.queue


def _loaded(config: Path, env: dict[str, str]) -> Loaded:
    loaded = load_with_places(config, _AnyVariable(env), _LOOKED_AT)
    if loaded.problems:
        # The stand-in of a missing variable may be the cause: then its absence is the better message.
        loaded = load_with_places(config, env, _LOOKED_AT)
        loaded.sound()
    return loaded


def _source(settings: Settings, message: Message, name: str | None) -> Source:
    """Returns the named source, else the only one, else the one that the message indicates."""
    sources = settings.sources
    names = [source.name for source in sources]
    if not sources:
        raise usage("sources", "the configuration has no source")
    if name is not None:
        if name not in names:
            raise usage("--source", f"no source {name!r}{nearest(name, names)}")
        return sources[names.index(name)]
    if (source := source_of(sources, message)) is not None:
        return source
    raise usage("--source", f"say which source the message would come from: {', '.join(names)}")


def _changed(source: Source, options: Options) -> Source:
    given = {"format": options.format, "timezone": options.timezone}
    changes = {name: value for name, value in given.items() if value is not None}
    try:
        return Source.model_validate(source.model_dump(by_alias=True) | changes)
    except ValidationError as error:
        [details] = error.errors(include_url=False)
        raise usage(
            f"--{details['loc'][0]}", str(details.get("ctx", {}).get("error", details["msg"]))
        ) from None
