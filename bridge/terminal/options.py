"""Declares commands that talk to a running bridge, the options that commands share, and how their input is read."""

import base64
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from typer import Argument, CallbackParam, Context

from bridge.core.base import seconds
from bridge.core.errors import Problem, SettingsError
from bridge.formats.event_types import beginning_with
from bridge.formats.parse import parse
from bridge.measuring.spans import moment as meant
from bridge.terminal.client import Client, ConnectionOptions, access
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
        with Client(access(ConnectionOptions(typed("url"), typed("token"), *files)), _PATIENCE) as client:
            return list(client.get(path, {"limit": _MOST})["items"])
    except Exception:  # noqa: BLE001 - whatever it is, a shell that completes wants silence
        return []


WHERE = """\b
URL of the bridge: --url, else -c FILE, else BRIDGE_URL. Token: --token-file, else -c FILE, else BRIDGE_TOKEN,
else BRIDGE_ADMIN_TOKEN; --token is visible in process lists.
Exit codes: 0 done, 1 failed or refused, 2 wrong usage."""


def examples(text: str, notes: str = "") -> str:
    """Returns the text below a command's help: examples, one per line, notes, and how the bridge is found."""
    lines = [f"  {line}" for line in text.strip("\n").splitlines()]
    return "\n".join(["\b", "Examples:", *lines, *notes.split("\n")]).rstrip() + f"\n\n{WHERE}"


CONNECTION = (
    option("--url", "URL", "URL of the bridge. Default: BRIDGE_URL, else http://127.0.0.1:8080."),
    option(
        "--token", "TOKEN", "API token. Visible in process lists: prefer BRIDGE_TOKEN or BRIDGE_ADMIN_TOKEN."
    ),
    option("--token-file", "FILE", "Read the token from this file.", Path),
    option("--ca-file", "FILE", "Trust these certificates, PEM. Default: BRIDGE_CA_FILE.", Path),
    option("--config -c", "FILE", "Read URL and token from section http of this file.", Path),
)
REMOTE = (*CONNECTION, flag("--json", "Print the API's response as JSON.", name="as_json"))
_AGAIN = "Repeat every 2 seconds, or at this interval in seconds."
WATCHED = (option("--watch -w", "[SECONDS]", _AGAIN, float, min=0.1, max=86_400), *REMOTE)
LISTED = (
    option("--limit -n", "N", "Maximum number of items.", int, default=MANY, min=1),
    flag("--all", "List all items instead of --limit.", name="everything"),
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
    time("--since --from", "Start, inclusive: 1h (ago), today, 2025-05-05, RFC 3339. UTC.", name="from_"),
    time("--until --to", "End, exclusive; a date includes its whole day. Forms as --since.", name="to_"),
)
HOOK = option("--hook", "HOOK", "Only deliveries of this hook: its id or name.", autocompletion=hook_names)
TYPE = option("--type -t", "TYPE", "Only events of exactly this type.", autocompletion=seen_event_types)
SOURCE = option("--source -s", "NAME", "Only this source.")
OUTCOME = option(
    "--outcome", "OUTCOME", "Only if the last attempt came to this: delivered, timeout, status, ..."
)
CODE = option(
    "--code", "N", "Only with this HTTP status or exit code of the last attempt.", int, name="status_code"
)
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
    str,
    Argument(metavar="HOOK", help="Name or id of the hook.", show_default=False, autocompletion=hook_names),
]
HookNames = Annotated[
    list[str] | None,
    Argument(metavar="HOOK...", help="Names or ids; - reads stdin.", autocompletion=hook_names),
]
YES = flag("--yes -y", "Skip the confirmation.")


# Input: what commands take from files, standard input and options.


STDIN = "-"
"""The file name that stands for standard input."""


def opened(name: str) -> BinaryIO:
    """Opens the file, or standard input for STDIN. Raises SettingsError if it cannot be read."""
    if name == STDIN:
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise SettingsError([Problem("", f"cannot be read: {error.strerror}", name)]) from None


def content(name: str) -> bytes:
    """Reads the file, or standard input for STDIN. Raises SettingsError if it cannot be read."""
    with opened(name) as stream:
        return stream.read()


def json_option(option: str, text: str) -> Any:
    """Parses the JSON of an option: its text, a file for `@FILE`, standard input for `@-`. Raises SettingsError."""
    whole = content(text[1:]) if text.startswith("@") else text.encode()
    value = parse(whole)
    if value is None and whole.strip() != b"null":
        raise usage(option, f"no JSON in {text!r}" if len(text) < 200 else "no JSON")
    return value


def body_of(file: str | None, text: str | None, content_type: str | None) -> dict[str, Any]:
    """Returns the body and content type of a message, as the API takes them. The body stays as it is, byte for byte.

    Raises SettingsError where neither or both are given, and for a body that is not JSON without a content type.
    """
    if (file is None) == (text is None):
        raise usage("", "give a FILE, - for standard input, or --body TEXT")
    whole = content(file) if file is not None else str(text).encode("utf-8", "surrogateescape")
    if content_type is None and parse(whole) is None and whole.strip() != b"null":
        raise usage(file or "--body", "not JSON; give --content-type to publish it as it is")
    return {**body_members(whole), "content_type": content_type or "application/json"}


def body_members(whole: bytes) -> dict[str, str]:
    """Returns the body as text if it is UTF-8, else as base64."""
    try:
        return {"body": whole.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(whole).decode()}


def parsed_headers(given: list[str]) -> dict[str, str]:
    """Parses headers of the form `name=value`; raises SettingsError for another form."""
    headers = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise usage("--header", f"{text!r} is not of the form name=value")
        headers[name] = value
    return headers


def all_secrets(given: list[str] | None, files: list[Path] | None, variables: list[str] | None) -> list[str]:
    """Returns all secrets, in this order. Raises SettingsError for an unreadable file or an unset variable."""
    found = [*(given or []), *map(_secret_of_file, files or []), *map(_secret_of_variable, variables or [])]
    if any(secret != secret.strip() for secret in found):
        typer.echo("warning: a secret has a blank or a line break at an end", err=True)
    return found


def _secret_of_file(path: Path) -> str:
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        raise usage("--secret-file", f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise usage("--secret-file", f"{path} is no UTF-8 text") from None
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def _secret_of_variable(name: str) -> str:
    if name not in os.environ:
        raise usage("--secret-env", f"the environment variable {name} is not set")
    return os.environ[name]
