"""What `amqp-bridge inspect` does: a message, the source it would come from, and what is found."""

import os
import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import typer
import uuid_utils
from pydantic import ValidationError

from bridge.admin.findings import as_object
from bridge.admin.inspection import Finding, inspect, source_of
from bridge.admin.schemas import misfit_of
from bridge.admin.wrapped import unwrapped
from bridge.cli.failures import usage
from bridge.cli.files import STDIN, content
from bridge.cli.findings import show
from bridge.model.errors import Problem, SettingsError
from bridge.model.event import Message, Undecodable
from bridge.model.source import FormatName, Source
from bridge.rules.bodies.exact import json_text
from bridge.rules.duplicates.keys import Keys, keyed_by
from bridge.rules.formats.decoder import Decoder
from bridge.rules.formats.parse import Bounds
from bridge.rules.formats.told import compile_told
from bridge.rules.routing.table import RoutingTable
from bridge.rules.wire.arrival import Arrivals
from bridge.settings.environment import SECRETS_DIR
from bridge.settings.loading import Loaded, load_with_places
from bridge.settings.names import ENV_FILE
from bridge.settings.shape import nearest
from bridge.settings.tree import Settings

_LOOKED_AT = frozenset({"sources", "hooks", "inlets", "limits", "brokers"})


@dataclass(frozen=True, slots=True)
class Options:
    """How to look at a message; None: as the source of the configuration says, else by default."""

    config: Path | None = None
    source: str | None = None
    format: str | None = None
    timezone: str | None = None


class _AnyVariable(dict[str, str]):
    """An environment in which every variable is set: decoding and routing need no secret of any hook."""

    def __contains__(self, name: object) -> bool:
        return name not in {SECRETS_DIR, ENV_FILE} or super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The variable, or something that passes for a text, a number and true."""
        return super().get(name, "1" if name in self else default)

    def __missing__(self, name: str) -> str:
        return str(self.get(name))


def inspect_file(file: str | None, options: Options, *, wrapped: bool, as_json: bool) -> bool:
    """Look at the message in a file (None, -: standard input), print what is found, and tell whether all of it
    would be taken. Raises SettingsError for what cannot be looked at.
    """
    if file is None and sys.stdin.isatty():
        raise usage("", "nothing to inspect: give a FILE, or - for standard input")
    body = content(file or STDIN)
    where = "standard input" if file in (None, STDIN) else file
    message = unwrapped(body, where, partial(_note, where)) if wrapped else Message(body)
    findings = findings_of(message, options, dict(os.environ), alone=not wrapped)
    configured = options.config is not None
    for finding in findings:
        if as_json:
            sys.stdout.write(json_text(as_object(finding, configured=configured)) + "\n")
        else:
            show(finding, sys.stdout, configured=configured)
    return not any(isinstance(finding.found, Undecodable) for finding in findings)


def findings_of(message: Message, options: Options, env: dict[str, str], *, alone: bool) -> list[Finding]:
    """What would come of the message; raises SettingsError for options or a configuration that cannot be used.

    A body `alone` arrives as `publish` sends it: by the name of the source's queue.
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
    return Decoder(_changed(Source(name="none", queue="none"), options), arrivals=Arrivals("", ()))


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
        arrivals=Arrivals(source.name, settings.inlets),
        misfit=misfit,
    )
    return decoder, table, keys, source.queue


def _loaded(config: Path, env: dict[str, str]) -> Loaded:
    loaded = load_with_places(config, _AnyVariable(env), _LOOKED_AT)
    if loaded.problems:
        # What stands for a missing variable may be to blame: its absence is the better message.
        loaded = load_with_places(config, env, _LOOKED_AT)
        loaded.sound()
    return loaded


def _source(settings: Settings, message: Message, name: str | None) -> Source:
    """The named source, else the only one, else the one that the message shows to have come from."""
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
