"""Options that several commands have in common."""

from typing import Annotated

from typer import Argument, Option

from bridge.cli.asking.names import hook_names, seen_event_types, statuses

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
