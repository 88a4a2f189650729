"""`amqp-bridge hooks create`, `update`, `delete`, `test` and `rotate-secret`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer import Option

from bridge.terminal.options import WHERE, HookName, Yes, remote
from bridge.terminal.output import FAILED, usage
from bridge.terminal.remote import Remote, sure

if TYPE_CHECKING:
    from bridge.hooks.cli_bodies import Options

CREATE = f"""\b
Examples:
  amqp-bridge hooks create -f hook.yaml
  amqp-bridge hooks create -f - < hook.json
  amqp-bridge hooks create --name crm --to https://crm.example.net/in --events 'customers.*' \\
    --profile splynx --secret-env CRM_SECRET
  amqp-bridge hooks create --name rest --unmatched --queue rest
  amqp-bridge hooks create --name php --command '/usr/bin/php handler.php' --retry 5s,5m,30m
The file holds one hook as `hooks:` of bridge.yaml has it, in YAML or JSON.

{WHERE}"""
UPDATE = f"""\b
Examples:
  amqp-bridge hooks update crm --events 'customers.*,tickets.#' --rate 50/s
  amqp-bridge hooks update crm --to https://new.example.net/in
  amqp-bridge hooks update crm -f hook.yaml            the whole hook; secrets it leaves out stay
  amqp-bridge hooks update crm --patch changes.yaml    what stands there alone; null resets

{WHERE}"""
DELETE = f"""\b
Examples:
  amqp-bridge hooks delete crm --lane drain    what waits is still delivered
  amqp-bridge hooks delete crm --lane drop     what waits becomes FAILED hook_deleted

{WHERE}"""
TEST = f"""\b
Examples:
  amqp-bridge hooks test crm
  amqp-bridge hooks test crm --type customers.customer.create --data '{{"id": 1}}' && echo it works
The exit code is 1 when the test event was not delivered.

{WHERE}"""
ROTATE = f"""\b
Examples:
  amqp-bridge hooks rotate-secret crm                  makes a secret and prints it, this once
  amqp-bridge hooks rotate-secret crm --keep 7d --secret-env NEW_SECRET
  amqp-bridge hooks rotate-secret crm --now            the old one leaked

{WHERE}"""

File = Annotated[
    str | None, Option("--file", "-f", metavar="FILE", help="A hook in YAML or JSON; - reads it.")
]
Patch = Annotated[
    str | None,
    Option("--patch", metavar="FILE", help="A merge patch (RFC 7396) in YAML or JSON; - reads it."),
]
Match = Annotated[
    str | None, Option("--if-match", metavar="ETAG", help="Only if the hook has this version still.")
]
Name = Annotated[str | None, Option("--name", metavar="NAME", help="Small letters, digits and hyphens.")]
Description = Annotated[str | None, Option("--description", metavar="TEXT", help="What it is for.")]
Events = Annotated[
    list[str] | None, Option("--events", "-e", metavar="PATTERNS", help="Such as customers.*,tickets.#")
]
Sources = Annotated[list[str] | None, Option("--sources", metavar="NAMES", help="Default: every source.")]
Filter = Annotated[str | None, Option("--filter", metavar="CEL", help="Must be true of `event`.")]
Unmatched = Annotated[
    bool | None,
    Option("--unmatched/--no-unmatched", help="Only what no other hook asks for.", show_default=False),
]
To = Annotated[str | None, Option("--to", "--target-url", metavar="URL", help="Webhook: where requests go.")]
ToQueue = Annotated[str | None, Option("--queue", metavar="QUEUE", help="Deliver to this queue.")]
ToCommand = Annotated[
    str | None, Option("--command", metavar="TEXT", help="Deliver to this program with arguments.")
]
ToNotify = Annotated[
    list[str] | None, Option("--notify", metavar="URL", help="Tell this service, an Apprise URL.")
]
Profile = Annotated[
    str | None, Option("--profile", "-p", metavar="PROFILE", help="Webhook: how it is signed.")
]
SecretFile = Annotated[
    list[Path] | None, Option("--secret-file", metavar="FILE", help="Webhook: a secret from this file.")
]
SecretEnv = Annotated[
    list[str] | None, Option("--secret-env", metavar="NAME", help="Webhook: a secret from this variable.")
]
Timeout = Annotated[str | None, Option("--timeout", metavar="DURATION", help="Of one attempt, such as 15s.")]
Retry = Annotated[
    str | None,
    Option(
        "--retry", metavar="RETRY", help="A preset (standard, splynx, phlix, cockpit, none) or waits: 5s,5m"
    ),
]
Rate = Annotated[str | None, Option("--rate", metavar="RATE", help="Such as 50/s.")]
Concurrency = Annotated[int | None, Option("--concurrency", metavar="N", help="Attempts at once.")]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    app.command(epilog=CREATE)(create)
    app.command(epilog=UPDATE)(update)
    app.command(epilog=DELETE)(delete)
    app.command("test", epilog=TEST)(send_test)
    app.command("rotate-secret", epilog=ROTATE)(rotate_secret)


@remote
def create(
    to: Remote,
    *,
    file: File = None,
    name: Name = None,
    description: Description = None,
    events: Events = None,
    sources: Sources = None,
    filter_: Filter = None,
    unmatched: Unmatched = None,
    target_url: To = None,
    queue: ToQueue = None,
    command: ToCommand = None,
    notify: ToNotify = None,
    profile: Profile = None,
    secret_file: SecretFile = None,
    secret_env: SecretEnv = None,
    timeout: Timeout = None,
    retry: Retry = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
) -> None:
    """Make a hook, from a file or by options; it is in force at once."""
    from bridge.hooks.cli_bodies import Options, either
    from bridge.hooks.cli_views import show_hook

    options = Options(
        name=name, description=description, events=events, sources=sources, filter=filter_, unmatched=unmatched,
        url=target_url, queue=queue, command=command, notify=notify, profile=profile, secret_files=secret_file,
        secret_variables=secret_env, timeout=timeout, retry=retry, rate=rate, concurrency=concurrency,
    )  # fmt: skip
    body, _ = either(file, options)
    to.say(to.change("POST", "/hooks", body), show_hook)


@remote
def update(
    to: Remote,
    hook: HookName,
    *,
    file: File = None,
    patch: Patch = None,
    if_match: Match = None,
    name: Name = None,
    description: Description = None,
    events: Events = None,
    sources: Sources = None,
    filter_: Filter = None,
    unmatched: Unmatched = None,
    target_url: To = None,
    queue: ToQueue = None,
    command: ToCommand = None,
    notify: ToNotify = None,
    profile: Profile = None,
    secret_file: SecretFile = None,
    secret_env: SecretEnv = None,
    timeout: Timeout = None,
    retry: Retry = None,
    rate: Rate = None,
    concurrency: Concurrency = None,
) -> None:
    """Change what options say and leave the rest, or put a file's hook in its place."""
    from bridge.hooks.cli_bodies import Options
    from bridge.hooks.cli_views import show_hook
    from bridge.terminal.client import segment

    options = Options(
        name=name, description=description, events=events, sources=sources, filter=filter_, unmatched=unmatched,
        url=target_url, queue=queue, command=command, notify=notify, profile=profile, secret_files=secret_file,
        secret_variables=secret_env, timeout=timeout, retry=retry, rate=rate, concurrency=concurrency,
    )  # fmt: skip
    method, body = _change(file, patch, options)
    headers = {"If-Match": if_match} if if_match else None
    to.say(to.change(method, f"/hooks/{segment(hook)}", body, headers=headers), show_hook)


def _change(file: str | None, patch: str | None, options: "Options") -> tuple[str, Any]:
    """A whole file is put in place of the hook; what a patch or options say is changed alone."""
    from bridge.hooks.cli_bodies import either

    if file is not None and patch is not None:
        raise usage("--patch", "goes not with --file")
    body, from_file = either(patch or file, options)
    return ("PUT" if from_file and patch is None else "PATCH"), body


@remote
def delete(
    to: Remote,
    hook: HookName,
    *,
    lane: Annotated[
        Literal["drain", "drop"], Option("--lane", help="What becomes of deliveries that wait.")
    ] = "drop",
    yes: Yes = False,
) -> None:
    """Delete a hook, and deliver or drop what waits in its lane."""
    from bridge.hooks.cli_views import removal
    from bridge.terminal.client import segment

    path = f"/hooks/{segment(hook)}"
    fate = "still delivered" if lane == "drain" else "given up (FAILED hook_deleted)"
    sure(f"Delete the hook {hook}? What waits in its lane is {fate}.", yes=yes)
    to.say(to.change("DELETE", path, query={"lane": lane}), removal)


@remote
def send_test(
    to: Remote,
    hook: HookName,
    *,
    type_: Annotated[str | None, Option("--type", "-t", metavar="TYPE", help="Of the test event.")] = None,
    data: Annotated[
        str | None,
        Option("--data", "-d", metavar="JSON", help="Its data; @FILE reads a file, @- standard input."),
    ] = None,
) -> None:
    """Send one test event to a hook's target and tell what came of it."""
    from bridge.events.cli import json_option
    from bridge.hooks.cli_views import tested
    from bridge.terminal.client import segment

    body: dict[str, Any] = {} if type_ is None else {"type": type_}
    if data is not None:
        body["data"] = json_option("--data", data)
    answer = to.change("POST", f"/hooks/{segment(hook)}/test", body or None, seconds=660.0)
    to.say(answer, tested)
    if not answer.value.get("delivered"):
        raise typer.Exit(FAILED)


@remote
def rotate_secret(
    to: Remote,
    hook: HookName,
    *,
    keep: Annotated[
        str | None,
        Option(
            "--keep",
            metavar="DURATION",
            help="How long the old ones go on signing: beside the new one, or before it where the profile signs with one "
            "secret. Default: 24h.",
        ),
    ] = None,
    now: Annotated[
        bool, Option("--now", help="The old ones end and the new one signs at once; as --keep 0.")
    ] = False,
    secret_file: Annotated[
        Path | None, Option("--secret-file", metavar="FILE", help="The new secret, in place of a made one.")
    ] = None,
    secret_env: Annotated[
        str | None, Option("--secret-env", metavar="NAME", help="The new secret is in this variable.")
    ] = None,
) -> None:
    """Give a hook a new secret; the old ones go on signing for a while, and the answer says which signs when."""
    from bridge.hooks.cli_views import rotated
    from bridge.terminal.client import segment
    from bridge.terminal.scheme import Secrets, all_secrets

    found = all_secrets(Secrets([], [secret_file] if secret_file else [], [secret_env] if secret_env else []))
    if len(found) > 1:
        raise usage("--secret-env", "goes not with --secret-file: there is one new secret")
    if now and keep is not None:
        raise usage("--now", "goes not with --keep")
    body = {"secret": found[0]} if found else {}
    body |= {"keep": "0"} if now else {"keep": keep} if keep is not None else {}
    to.say(to.change("POST", f"/hooks/{segment(hook)}/secret", body or None), rotated)
