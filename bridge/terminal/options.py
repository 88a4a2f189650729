"""Declares commands that talk to a running bridge, and the options that several commands share."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, CallbackParam, Context

from bridge.core.base import seconds
from bridge.formats.event_types import beginning_with
from bridge.measuring.spans import moment as meant
from bridge.terminal.client import Client, Given, access
from bridge.terminal.groups import Commands, beside, flag, option, signed
from bridge.terminal.output import usage
from bridge.terminal.paper import View
from bridge.terminal.remote import MANY, Remote

# Shell completion. Names come from the running bridge if it answers within half a second.


Complete = Callable[..., list[tuple[str, str]]]
_PATIENCE = 0.5
_MOST = 200


def event_types(incomplete: str) -> list[tuple[str, str]]:
    """Returns the event types of the catalogues that begin with what was typed, each with its meaning."""
    return [(known.type, known.meaning) for known in beginning_with(incomplete)]


def _offered(path: str, word: str, meaning: Callable[[Any], str]) -> Complete:
    """Returns a completer for the names in a list of the API, each with its meaning."""

    def complete(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
        return _beginning(((row[word], meaning(row)) for row in _items(ctx, path)), incomplete)

    return complete


hook_names = _offered("/hooks", "name", lambda row: str(row["target"]["type"]))
source_names = _offered("/sources", "name", lambda row: str(row["queue"]))
token_names = _offered("/tokens", "name", lambda row: str(row["role"]))


def seen_event_types(ctx: Context, incomplete: str) -> list[tuple[str, str]]:
    """Returns the types of the latest events, then those of the catalogues."""
    seen = dict.fromkeys(row["type"] for row in _items(ctx, "/events"))
    known = event_types(incomplete)
    return _beginning([*((each, "seen lately") for each in seen), *known], incomplete)


def one_of(**words: str) -> Complete:
    """Returns a completer for known words, each with its meaning."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return _beginning(words.items(), incomplete)

    return complete


def _beginning(offered: Iterable[tuple[str, str]], incomplete: str) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for word, meaning in offered:
        if word.startswith(incomplete):
            found.setdefault(word, meaning)
    return list(found.items())


def _items(ctx: Context, path: str) -> list[Any]:
    typed: Callable[[str], Any] = ctx.params.get
    try:
        files = (
            Path(each) if (each := typed(name)) else None for name in ("token_file", "ca_file", "config")
        )
        with Client(access(Given(typed("url"), typed("token"), *files)), _PATIENCE) as client:
            return list(client.get(path, {"limit": _MOST})["items"])
    except Exception:  # noqa: BLE001 - whatever it is, a shell that completes wants silence
        return []


WHERE = """\b
Where the bridge is: --url, else -c FILE, else BRIDGE_URL. Token: --token-file, else -c FILE, else BRIDGE_TOKEN,
else BRIDGE_ADMIN_TOKEN; --token shows in the list of processes.
Exit codes: 0 done, 1 failed or refused, 2 wrong usage."""


def examples(text: str, notes: str = "") -> str:
    """Returns the text below a command's help: examples, one per line, notes, and how the bridge is found."""
    lines = [f"  {line}" for line in text.strip("\n").splitlines()]
    return "\n".join(["\b", "Examples:", *lines, *notes.split("\n")]).rstrip() + f"\n\n{WHERE}"


CONNECTION = (
    option("--url", "URL", "Of the bridge. Default: BRIDGE_URL, else http://127.0.0.1:8080."),
    option("--token", "TOKEN", "Shows in process lists: rather set BRIDGE_TOKEN or BRIDGE_ADMIN_TOKEN."),
    option("--token-file", "FILE", "Read the token from here.", Path),
    option("--ca-file", "FILE", "Trust these certificates, PEM. Default: BRIDGE_CA_FILE.", Path),
    option("--config -c", "FILE", "Take address and token from http.* of this file.", Path),
)
REMOTE = (*CONNECTION, flag("--json", "Print what the API answers.", name="as_json"))
_AGAIN = "Look again every 2 or so many seconds."
WATCHED = (option("--watch -w", "[SECONDS]", _AGAIN, float, min=0.1, max=86_400), *REMOTE)
LISTED = (
    option("--limit -n", "N", "At most so many.", int, default=MANY, min=1),
    flag("--all", "All there are, in place of --limit.", name="everything"),
    *WATCHED,
)


def queried(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the API query of these options; a flag that is not set is left out."""
    return {name.removesuffix("_"): None if value is False else value for name, value in given.items()}


def remote(
    own: Sequence[inspect.Parameter] = (), common: Sequence[inspect.Parameter] = REMOTE
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that adds the options `own` and `common` to a command and passes it the Remote first."""

    def remotely(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(*arguments: Any, **given: Any) -> None:
            with Remote(**{each.name: given.pop(each.name) for each in common}) as to:
                command(to, *arguments, **given)

        _, *first = inspect.signature(command).parameters.values()
        return signed(run, [*beside(first, own), *own, *common])

    return remotely


class RemoteCommands(Commands):
    """Commands that talk to a running bridge; each gets the Remote as its first argument."""

    def __init__(self, name: str = "", **options: Any) -> None:
        super().__init__(name, **{"epilog": WHERE, **options})

    def remote(
        self,
        name: str | None = None,
        *,
        epilog: str = WHERE,
        own: Sequence[inspect.Parameter] = (),
        common: Sequence[inspect.Parameter] = REMOTE,
    ) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Registers a command that talks to a running bridge; options are as in `remote`."""
        return lambda command: self.command(name, epilog=epilog)(remote(own, common)(command))

    def listing(
        self,
        name: str,
        path: str,
        help: str,  # noqa: A002 - Typer's word
        view: View,
        *filters: inspect.Parameter,
        epilog: str = WHERE,
        counted: bool = False,
    ) -> None:
        """Registers a command that lists the items at `path` of the API; `filters` are named as in its query.

        `counted`: the API counts the items that are not shown.
        """

        def list_(to: Remote, **query: Any) -> None:
            to.pages(path, view, queried(query), counted=counted)

        list_.__doc__ = help
        self.remote(name, epilog=epilog, own=filters, common=LISTED)(list_)

    def alone(self, command: Callable[..., None]) -> None:
        """Makes this command run when the group is called without a subcommand."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        context = inspect.Parameter("context", kind, annotation=Context)

        @functools.wraps(command)
        def run(context: Context, **given: Any) -> None:
            if context.invoked_subcommand is None:
                command(**given)

        parameters = inspect.signature(command).parameters.values()
        self.callback(invoke_without_command=True)(signed(run, [context, *parameters]))


# Times on the command line: `1h` ago, a day, or RFC 3339, with the same meaning as in the API.


_ENDS = frozenset({"--until", "--to", "--updated-until"})
"""Options for which a day includes all of it."""


def moment(text: str | None, option: str, now: datetime | None = None) -> str | None:
    """Returns as RFC 3339 `1h`, `-1h` (both an hour ago), `now`, `today`, `2025-05-05` (UTC) or RFC 3339; None stays None.

    A day means its beginning, or for an option that ends a span its end. Raises SettingsError that names the option.
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
    """Returns the seconds of `30s`, `5m`; raises SettingsError that names the option."""
    try:
        return float(seconds(text))
    except ValueError as error:
        raise usage(option, str(error)) from None


# The options that several commands share; those that filter are named as in the API's queries.


def _moment(param: CallbackParam, value: str | None) -> str | None:
    return moment(value, param.opts[0])


def _upper(value: list[str] | None) -> list[str] | None:
    return value and [each.upper() for each in value]


def time(flags: str, help: str, *, name: str) -> inspect.Parameter:  # noqa: A002 - Typer's word
    """Returns an option that takes a time, as `moment` parses it."""
    return option(flags, "TIME", help, name=name, callback=_moment)


SPAN = (
    time("--since --from", "From then on: 1h (ago), today, 2025-05-05, RFC 3339. UTC.", name="from_"),
    time("--until --to", "Up to before then, of a day with all of it; as --since.", name="to_"),
)
HOOK = option("--hook", "HOOK", "Of this hook: its id or name.", autocompletion=hook_names)
TYPE = option("--type -t", "TYPE", "Events of exactly this type.", autocompletion=seen_event_types)
SOURCE = option("--source -s", "NAME", "From this source.")
STATUSES = option(
    "--status",
    "STATUS",
    "PENDING RETRYING SUCCESS FAILED SKIPPED; may be repeated.",
    list[str],
    callback=_upper,
    autocompletion=one_of(
        PENDING="not tried yet",
        RETRYING="tried again later",
        SUCCESS="delivered",
        FAILED="given up, cancelled, or its hook deleted",
        SKIPPED="its hook was disabled",
    ),
)
HookName = Annotated[
    str, Argument(metavar="HOOK", help="Its name or id.", show_default=False, autocompletion=hook_names)
]
HookNames = Annotated[
    list[str] | None,
    Argument(metavar="HOOK...", help="Names or ids; - reads them.", autocompletion=hook_names),
]
YES = flag("--yes -y", "Do not ask.")
