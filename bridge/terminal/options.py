"""What every command that talks to a running bridge has in common: its options."""

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer
from typer import Argument, Context, Option
from typer.core import TyperCommand, TyperGroup

from bridge.core.base import seconds
from bridge.measuring.spans import moment as meant
from bridge.terminal.output import event_types, usage
from bridge.terminal.remote import MANY, Remote

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])
Command = Callable[Concatenate[Remote, P], None]

OFTEN = "2"
"""Seconds between two rounds of --watch where none are given."""
_SECONDS = re.compile(r"\d+(\.\d+)?")

WHERE = """\b
Where the bridge is: --url, else -c FILE, else BRIDGE_URL. Token: --token-file, else -c FILE, else BRIDGE_TOKEN,
else BRIDGE_ADMIN_TOKEN; --token shows in the list of processes.
Exit codes: 0 done, 1 failed or refused, 2 wrong usage."""


def examples(*lines: str) -> str:
    """What stands below a command's help."""
    return "\n  ".join(["\b\nExamples:", *lines]) + f"\n\n{WHERE}"


Url = Annotated[
    str | None,
    Option("--url", metavar="URL", help="Of the bridge. Default: BRIDGE_URL, else http://127.0.0.1:8080."),
]
Token = Annotated[
    str | None,
    Option(
        "--token",
        metavar="TOKEN",
        help="Shows in process lists: rather set BRIDGE_TOKEN or BRIDGE_ADMIN_TOKEN.",
    ),
]
TokenFile = Annotated[Path | None, Option("--token-file", metavar="FILE", help="Read the token from here.")]
CaFile = Annotated[
    Path | None,
    Option("--ca-file", metavar="FILE", help="Trust these certificates, PEM. Default: BRIDGE_CA_FILE."),
]
Config = Annotated[
    Path | None,
    Option("--config", "-c", metavar="FILE", help="Take address and token from http.* of this file."),
]
AsJson = Annotated[bool, Option("--json", help="Print what the API answers.")]
Watch = Annotated[
    float | None,
    Option(
        "--watch",
        "-w",
        metavar="[SECONDS]",
        min=0.1,
        max=86_400,
        help="Look again every 2 or so many seconds.",
    ),
]
Limit = Annotated[int, Option("--limit", "-n", min=1, metavar="N", help="At most so many.")]
Everything = Annotated[bool, Option("--all", help="All there are, in place of --limit.")]

_COMMON: Mapping[str, tuple[Any, Any]] = {
    "url": (Url, None),
    "token": (Token, None),
    "token_file": (TokenFile, None),
    "ca_file": (CaFile, None),
    "config": (Config, None),
    "as_json": (AsJson, False),
}
_WATCH: Mapping[str, tuple[Any, Any]] = {"watch": (Watch, None)}
_LIST: Mapping[str, tuple[Any, Any]] = {"limit": (Limit, MANY), "everything": (Everything, False)}


def remote(command: Command[P]) -> Callable[..., None]:
    """The command with the options of all, in place of its first argument, the Remote."""
    return _with_options(command, _COMMON)


def watched(command: Command[P]) -> Callable[..., None]:
    """As `remote`, with --watch too; the command is to be registered with `cls=Watching`."""
    return _with_options(command, {**_WATCH, **_COMMON})


def listed(command: Command[P]) -> Callable[..., None]:
    """As `watched`, with --limit and --all too."""
    return _with_options(command, {**_LIST, **_WATCH, **_COMMON})


def _with_options(command: Command[P], options: Mapping[str, tuple[Any, Any]]) -> Callable[..., None]:
    own = list(inspect.signature(command).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    more = [
        inspect.Parameter(name, kind, default=default, annotation=a) for name, (a, default) in options.items()
    ]

    @functools.wraps(command)
    def run(*arguments: Any, **given: Any) -> None:
        common = {name: given.pop(name) for name in options}
        with Remote(**common) as to:
            command(to, *arguments, **given)

    signature = inspect.Signature([*own, *more])
    return _signed(run, signature)


def alone(command: Callable[..., None]) -> Callable[..., None]:
    """The command as that of its group: it runs where none of the group's commands is named."""
    signature = inspect.signature(command)
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

    @functools.wraps(command)
    def run(context: typer.Context, **given: Any) -> None:
        if context.invoked_subcommand is None:
            command(**given)

    whole = signature.replace(parameters=[context, *signature.parameters.values()])
    return _signed(run, whole)


def _signed(run: Callable[..., None], signature: inspect.Signature) -> Callable[..., None]:
    """The function, which Typer takes to have these parameters (PEP 362)."""
    vars(run)["__signature__"] = signature
    run.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    return run


_CONNECTING = frozenset({"url", "token", "token_file", "ca_file", "config"})


class Remotely(TyperCommand):
    """A command whose help has what says where the bridge is in a section of its own."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _in_sections(self, ctx, formatter)


def _in_sections(command: Any, ctx: Any, formatter: Any) -> None:
    """Arguments, options, and, where the command asks a running bridge, how to reach it."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], "Connection": []}
    parameters = command.get_params(ctx)
    remote = {parameter.name for parameter in parameters} >= _CONNECTING
    for parameter in parameters:
        if (told := parameter.get_help_record(ctx)) is not None:
            connecting = remote and parameter.name in _CONNECTING
            kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
            sections["Connection" if connecting else kind].append(told)
    for title, told_of in sections.items():
        if told_of:
            with formatter.section(title):
                formatter.write_dl(told_of)


class RemotelyGroup(TyperGroup):
    """As Remotely, for a group that may be a command as well."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _in_sections(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class Commands(typer.Typer):
    """Commands that are of the class Remotely, in a group of the class RemotelyGroup, unless another one is said."""

    def __init__(self, *, cls: type[TyperGroup] = RemotelyGroup, **options: Any) -> None:
        super().__init__(cls=cls, **options)

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **options: Any
    ) -> Callable[[F], F]:
        return super().command(name, cls=cls or Remotely, **options)


class Watching(Remotely):
    """A command whose --watch may stand without seconds."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(with_seconds(args)))


class WatchingGroup(RemotelyGroup):
    """A group that is a command as well, whose --watch may stand without seconds."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(with_seconds(args)))


def with_seconds(args: list[str]) -> Iterator[str]:
    """The arguments with OFTEN behind each --watch that has no number behind it."""
    for number, argument in enumerate(args):
        if argument == "--":
            yield from args[number:]
            return
        yield argument
        if argument in {"--watch", "-w"} and not _SECONDS.fullmatch("".join(args[number + 1 : number + 2])):
            yield OFTEN


# What the shell is offered after the tab key, from the running bridge: within half a second, or not at all.


_PATIENCE = 0.5
_MOST = 200


def hook_names(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of hooks, each with where it delivers."""
    rows = _items(ctx, "/hooks")
    return _beginning(((row["name"], row["target"]["type"]) for row in rows), incomplete)


def seen_event_types(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Types of the latest events, then those of the catalogues."""
    seen = dict.fromkeys(row["type"] for row in _items(ctx, "/events"))
    known = event_types(incomplete)
    return _beginning([*((each, "seen lately") for each in seen), *known], incomplete)


def source_names(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of sources, each with its queue."""
    return _beginning(((row["name"], row["queue"]) for row in _items(ctx, "/sources")), incomplete)


def token_names(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Names of tokens, each with its role."""
    return _beginning(((row["name"], row["role"]) for row in _items(ctx, "/tokens")), incomplete)


def statuses(incomplete: str) -> list[tuple[str, str]]:
    """Statuses of deliveries."""
    return _beginning(
        [
            ("PENDING", "not tried yet"),
            ("RETRYING", "tried again later"),
            ("SUCCESS", "delivered"),
            ("FAILED", "given up, cancelled, or its hook deleted"),
            ("SKIPPED", "its hook was disabled"),
        ],
        incomplete,
    )


def roles(incomplete: str) -> list[tuple[str, str]]:
    """Roles of tokens."""
    return _beginning(
        [
            ("viewer", "looks at everything"),
            ("operator", "also pauses, retries, replays, publishes"),
            ("admin", "also changes hooks, secrets and tokens"),
        ],
        incomplete,
    )


def _beginning(offered: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for word, meaning in offered:
        if word.startswith(incomplete):
            found.setdefault(word, meaning)
    return list(found.items())


def _items(ctx: Context, path: str) -> Iterator[Any]:
    try:
        found = _asked(ctx, path)
    except Exception:  # noqa: BLE001 - whatever it is, a shell that completes wants silence
        found = []
    return iter(found)


def _asked(ctx: Context, path: str) -> list[Any]:
    from bridge.terminal.client import Client, Given, access

    typed: Callable[[str], Any] = ctx.params.get
    files = (Path(each) if (each := typed(name)) else None for name in ("token_file", "ca_file", "config"))
    with Client(access(Given(typed("url"), typed("token"), *files)), _PATIENCE) as client:
        items: list[Any] = client.get(path, {"limit": _MOST})["items"]
        return items


# Options that several commands have in common.


Since = Annotated[
    str | None,
    Option(
        "--since", "--from", metavar="TIME", help="From then on: 1h (ago), today, 2025-05-05, RFC 3339. UTC."
    ),
]
Until = Annotated[
    str | None,
    Option("--until", "--to", metavar="TIME", help="Up to before then, of a day with all of it; as --since."),
]
UpdatedSince = Annotated[
    str | None,
    Option("--updated-since", metavar="TIME", help="Became what it is (failed, succeeded) from then on."),
]
UpdatedUntil = Annotated[
    str | None, Option("--updated-until", metavar="TIME", help="Became what it is up to before then.")
]
Hook = Annotated[
    str | None,
    Option("--hook", metavar="HOOK", help="Of this hook: its id or name.", autocompletion=hook_names),
]
HookName = Annotated[
    str, Argument(metavar="HOOK", help="Its name or id.", show_default=False, autocompletion=hook_names)
]
HookNames = Annotated[
    list[str] | None,
    Argument(metavar="HOOK...", help="Names or ids; - reads them.", autocompletion=hook_names),
]
Type = Annotated[
    str | None,
    Option(
        "--type", "-t", metavar="TYPE", help="Events of exactly this type.", autocompletion=seen_event_types
    ),
]
Source = Annotated[str | None, Option("--source", "-s", metavar="NAME", help="From this source.")]
Statuses = Annotated[
    list[str] | None,
    Option(
        "--status",
        metavar="STATUS",
        help="PENDING RETRYING SUCCESS FAILED SKIPPED; may be repeated.",
        autocompletion=statuses,
    ),
]
Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask.")]


# Times as people type them: `1h` ago, a day, or RFC 3339; they mean what they mean to the API.


_ENDS = frozenset({"--until", "--to", "--updated-until"})
"""Options of which a day is meant with all of it."""


def moment(text: str | None, option: str, now: datetime | None = None) -> str | None:
    """RFC 3339 of `1h`, `-1h` (both an hour ago), `now`, `today`, `2025-05-05` (UTC) or RFC 3339; None stays None.

    A day is its beginning, or for an option that ends a span its end. Raises SettingsError that names the option.
    """
    if text is None:
        return None
    try:
        found = meant(text, (now or datetime.now(UTC)).timestamp(), end=option in _ENDS)
    except ValueError:
        raise usage(
            option,
            f"{text!r} is no time; write for example 1h, 7d, today, 2025-05-05 or 2025-05-05T07:08:09Z",
        ) from None
    return datetime.fromtimestamp(found, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def length(text: str, option: str) -> float:
    """Seconds of `30s`, `5m`; raises SettingsError that names the option."""
    try:
        return float(seconds(text))
    except ValueError as error:
        raise usage(option, str(error)) from None
