"""`amqp-bridge hooks create`, `update`, `delete`, `test` and `rotate-secret`."""

import os
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import typer
from pydantic import BaseModel

from bridge.core.hook import Hook, Retry
from bridge.core.target import NotifyTarget, QueueTarget, WebhookTarget
from bridge.formats.parse import parse as parse_json
from bridge.hooks.cli import show_hook
from bridge.settings.shape import written
from bridge.settings.yaml import Substitution
from bridge.settings.yaml import parse as parse_yaml
from bridge.terminal.client import segment
from bridge.terminal.groups import flag, option
from bridge.terminal.options import YES, HookName, RemoteCommands, all_secrets, content, examples, json_option
from bridge.terminal.output import FAILED, usage
from bridge.terminal.paper import Column, TablePrinter, column, count, described, moment, text
from bridge.terminal.remote import Remote, confirm

CREATE = examples(
    r"""
amqp-bridge hooks create -f hook.yaml
amqp-bridge hooks create -f - < hook.json
amqp-bridge hooks create --name crm --to https://crm.example.net/in --events 'customers.*' \
  --profile splynx --secret-env CRM_SECRET
amqp-bridge hooks create --name rest --unmatched --queue rest
amqp-bridge hooks create --name php --command '/usr/bin/php handler.php' --retry 5s,5m,30m
""",
    "The file holds one hook as `hooks:` of bridge.yaml has it, in YAML or JSON.",
)
UPDATE = examples("""
amqp-bridge hooks update crm --events 'customers.*,tickets.#' --rate 50/s
amqp-bridge hooks update crm --to https://new.example.net/in
amqp-bridge hooks update crm -f hook.yaml            the whole hook; secrets it leaves out stay
amqp-bridge hooks update crm --patch changes.yaml    what stands there alone; null resets
""")
DELETE = examples("""
amqp-bridge hooks delete crm --lane drain    what waits is still delivered
amqp-bridge hooks delete crm --lane drop     what waits becomes FAILED hook_deleted
""")
TEST = examples(
    """
amqp-bridge hooks test crm
amqp-bridge hooks test crm --type customers.customer.create --data '{"id": 1}' && echo it works
""",
    "The exit code is 1 when the test event was not delivered.",
)
ROTATE = examples("""
amqp-bridge hooks rotate-secret crm                  makes a secret and prints it, this once
amqp-bridge hooks rotate-secret crm --keep 7d --secret-env NEW_SECRET
amqp-bridge hooks rotate-secret crm --now            the old one leaked
""")

app = RemoteCommands()

# A hook by options: each text, list, number or switch of the models is an option.


def _member(model: type[BaseModel], name: str, metavar: str | None, help: str, flags: str = "") -> Any:  # noqa: A002
    """Returns the option for a member of a model; if the member is of another type, an option whose text the API parses."""
    annotation = model.model_fields[name].annotation
    kind = annotation if annotation in (int, bool) else list[str] if "list" in str(annotation) else str
    more = {"show_default": False} if kind is bool else {}
    return option(flags or f"--{name}", metavar, help, kind, name=f"{name}_", **more)


_PRESETS = ", ".join(get_args(get_args(Retry.model_fields["preset"].annotation)[0]))
OF_HOOK = (
    _member(Hook, "name", "NAME", "Name: lower-case letters, digits and hyphens."),
    _member(Hook, "description", "TEXT", "Description."),
    _member(Hook, "events", "PATTERNS", "Event patterns: customers.*,tickets.#", "--events -e"),
    _member(Hook, "sources", "NAMES", "Sources. Default: all."),
    _member(Hook, "filter", "CEL", "CEL expression over `event` that must be true."),
    _member(Hook, "unmatched", None, "Only events that no hook matches.", "--unmatched/--no-unmatched"),
    _member(WebhookTarget, "url", "URL", "Webhook: URL.", "--to --target-url"),
    _member(QueueTarget, "queue", "QUEUE", "Deliver to this queue."),
    option("--command", "TEXT", "Run this program with arguments.", name="command_"),
    _member(NotifyTarget, "urls", "URL", "Notify this service, an Apprise URL.", "--notify"),
    _member(WebhookTarget, "profile", "PROFILE", "Webhook: signature profile.", "--profile -p"),
    option("--secret-file", "FILE", "Webhook: read a secret from this file.", list[Path]),
    option("--secret-env", "NAME", "Webhook: read a secret from this environment variable.", list[str]),
    _member(WebhookTarget, "timeout", "DURATION", "Time limit of an attempt, such as 15s."),
    _member(Hook, "retry", "RETRY", f"A preset ({_PRESETS}) or waits: 5s,5m"),
    _member(Hook, "rate", "RATE", "Maximum rate of attempts, such as 50/s."),
    _member(Hook, "concurrency", "N", "Maximum number of concurrent attempts."),
)
FILE = option("--file -f", "FILE", "A hook in YAML or JSON; - reads it.")


def _by_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a hook that these options give, to be created or merged; empty lists and texts are kept.

    Raises SettingsError.
    """
    said = {name.removesuffix("_"): value for name, value in given.items() if value is not None}
    own = {name: value for name, value in said.items() if name in Hook.model_fields}
    body = {name: _READ[name](value) if name in _READ else value for name, value in own.items()}
    target = _address(said) | {name: said[name] for name in ("profile", "timeout") if name in said}
    if secrets := all_secrets([], said.get("secret_file"), said.get("secret_env")):
        target["secrets"] = secrets
    return body | ({"target": target} if target else {})


_TARGETS = {
    "url": ("--to", "webhook"),
    "queue": ("--queue", "queue"),
    "command": ("--command", "script"),
    "urls": ("--notify", "notify"),
}


def _address(said: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the target's address; exactly one option gives it."""
    match [name for name in _TARGETS if said.get(name)]:
        case []:
            return {}
        case [name]:
            option, kind = _TARGETS[name]
            value = said[name]
            if kind == "script":
                value = shlex.split(value)
            elif kind != "queue":
                value = filled(value, option)
            return {"type": kind, name: value}
        case [first, second, *_]:
            raise usage(_TARGETS[second][0], f"goes not with {_TARGETS[first][0]}: a hook has one target")
    raise AssertionError


def _split(texts: list[str]) -> list[str]:
    """Returns the items of `a,b` and of repeated options as one list."""
    return [part for text in texts for each in text.split(",") if (part := each.strip())]


def _retry(text: str) -> dict[str, Any]:
    """Returns the retry policy of a preset's name, or of waits such as `5s,5m,30m`."""
    waits = _split([text])
    return {"schedule": waits} if waits and waits[0][:1].isdigit() else {"preset": text}


_READ: dict[str, Callable[[Any], Any]] = {"events": _split, "sources": _split, "retry": _retry}


# A hook from a file.


def _of_file(name: str) -> Any:
    """Returns the object in a file of YAML or JSON, or on standard input for `-`; raises SettingsError for anything else.

    A document with `hooks: [one]`, as in a configuration file, yields that hook. `${NAME}` is replaced as in that file, from
    the environment of this command.
    """
    whole = content(name)
    value = parse_json(whole)
    if value is None:
        value = _yaml(whole, name)
    if isinstance(value, dict) and set(value) == {"hooks"} and isinstance(value["hooks"], list):
        [value] = value["hooks"] if len(value["hooks"]) == 1 else [None]
    if not isinstance(value, Mapping):
        raise usage("--file", f"{name} must hold one hook: an object in YAML or JSON")
    return filled(dict(value), "--file")


def filled(value: Any, option: str) -> Any:
    """Returns `value` with each `${NAME}` replaced from the environment; raises SettingsError if a variable is not set."""
    substitution = Substitution(os.environ)
    whole = substitution.fill(value)
    if substitution.problems:
        path, message = substitution.problems[0]
        raise usage(option, f"{written(path)}: {message}" if path else message)
    return whole


def _yaml(whole: bytes, name: str) -> Any:
    try:
        document = parse_yaml(whole.decode("utf-8-sig"), name)
    except UnicodeDecodeError:
        raise usage("--file", f"{name} is no UTF-8 text") from None
    if document.problems:
        raise usage("--file", "; ".join(f"{name}: {message}" for _, message in document.problems))
    return document.value


def _asked(file: str | None, given: Mapping[str, Any]) -> Any:
    """Returns the hook of the file, or of the options; raises SettingsError for both or neither."""
    by_options = _by_options(given)
    if file is not None and by_options:
        raise usage("--file", "give either a file or options")
    if file is None and not by_options:
        raise usage("", "give a hook with -f FILE, or by options")
    return by_options if file is None else _of_file(file)


# The commands.


@app.remote(epilog=CREATE, own=(FILE, *OF_HOOK))
def create(to: Remote, *, file: str | None, **given: Any) -> None:
    """Create a hook from a file or from options; it is active at once."""
    to.say(to.change("POST", "/hooks", _asked(file, given)), show_hook)


@app.remote(
    epilog=UPDATE,
    own=(
        FILE,
        option("--patch", "FILE", "A merge patch (RFC 7396) in YAML or JSON; - reads it."),
        option("--if-match", "ETAG", "Fail if the hook's version is not this one."),
        *OF_HOOK,
    ),
)
def update(
    to: Remote, hook: HookName, *, file: str | None, patch: str | None, if_match: str | None, **given: Any
) -> None:
    """Update the given fields of a hook, or replace the hook with the one in a file."""
    if file is not None and patch is not None:
        raise usage("--patch", "goes not with --file")
    method = "PATCH" if file is None else "PUT"
    headers = {"If-Match": if_match} if if_match else None
    answer = to.change(method, f"/hooks/{segment(hook)}", _asked(patch or file, given), headers=headers)
    to.say(answer, show_hook)


@app.remote(
    epilog=DELETE,
    own=(
        option("--lane", None, "Deliver or drop what waits.", Literal["drain", "drop"], default="drop"),
        YES,
    ),
)
def delete(to: Remote, hook: HookName, *, lane: str, yes: bool) -> None:
    """Delete a hook, and deliver or drop the deliveries in its lane."""
    fate = "still delivered" if lane == "drain" else "given up (FAILED hook_deleted)"
    confirm(f"Delete the hook {hook}? What waits in its lane is {fate}.", yes=yes)
    to.say(to.change("DELETE", f"/hooks/{segment(hook)}", query={"lane": lane}), _show_removal)


def _show_removal(paper: TablePrinter, answer: Any) -> None:
    match answer.get("lane"):
        case "draining":
            waiting = count(answer.get("waiting") or 0, "delivery")
            told = f"matches nothing more; {waiting} that waited will still be delivered"
        case "dropping":
            told = "deleted; what waits is becoming FAILED hook_deleted"
        case "drained":
            told = "deleted; nothing waited"
        case _:
            told = f"deleted; {count(answer.get('deliveries') or 0, 'delivery')} became FAILED hook_deleted"
    paper.line(f"{text(answer.get('id'))}: {told}")


@app.remote(
    "test",
    epilog=TEST,
    own=(
        option("--type -t", "TYPE", "Type of the test event.", name="type_"),
        option("--data -d", "JSON", "Data of the test event; @FILE reads a file, @- standard input."),
        option("--event", "ID", "Send this event of the history."),
    ),
)
def send_test(to: Remote, hook: HookName, *, type_: str | None, data: str | None, event: str | None) -> None:
    """Send a test event to a hook's target and show the result."""
    body: dict[str, Any] = {} if type_ is None else {"type": type_}
    if data is not None:
        body["data"] = json_option("--data", data)
    body |= {"event_id": event} if event is not None else {}
    answer = to.change("POST", f"/hooks/{segment(hook)}/test", body or None, seconds=660.0)
    to.say(answer, _show_tested)
    if not answer.value.get("delivered"):
        raise typer.Exit(FAILED)


TESTED = (
    column("status_code"),
    column("duration_ms", "duration", lambda ms: f"{text(ms)} ms" if ms is not None else ""),
    column("error"),
    column("response"),
    Column("event", lambda row: f"{text(row.get('event_type'))} {text(row.get('event_id'))}".strip()),
)


def _show_tested(paper: TablePrinter, answer: Any) -> None:
    if answer.get("delivered"):
        paper.line("delivered", "bold green")
    else:
        paper.line(f"not delivered: {text(answer.get('outcome'))}", "bold red")
    paper.facts(described(answer, TESTED))


@app.remote(
    "rotate-secret",
    epilog=ROTATE,
    own=(
        option(
            "--keep",
            "DURATION",
            "How long the old secrets still sign: in addition to the new one, or instead of it if the profile signs with one "
            "secret. Default: 24h.",
        ),
        flag("--now", "Revoke the old secrets immediately; same as --keep 0."),
        option("--secret-file", "FILE", "Read the new secret from this file.", Path),
        option("--secret-env", "NAME", "Read the new secret from this environment variable."),
    ),
)
def rotate_secret(
    to: Remote,
    hook: HookName,
    *,
    keep: str | None,
    now: bool,
    secret_file: Path | None,
    secret_env: str | None,
) -> None:
    """Give a hook a new secret; the old ones go on signing for a while, and the answer says which signs when."""
    found = all_secrets([], [secret_file] if secret_file else [], [secret_env] if secret_env else [])
    if len(found) > 1:
        raise usage("--secret-env", "goes not with --secret-file: there is one new secret")
    if now and keep is not None:
        raise usage("--now", "goes not with --keep")
    body = {"secret": found[0]} if found else {}
    body |= {"keep": "0"} if now else {"keep": keep} if keep is not None else {}
    to.say(to.change("POST", f"/hooks/{segment(hook)}/secret", body or None), _show_rotated)


ROTATED = (
    column("id", "hook"),
    column("secret"),
    column("starts_at", "it signs from", moment),
    column("expires_at", "old ones end", lambda at: moment(at) or "at once"),
)


def _show_rotated(paper: TablePrinter, answer: Any) -> None:
    paper.facts(described(answer, ROTATED))
    if told := text(answer.get("explanation")):
        paper.line(f"{told[:1].upper()}{told[1:]}.")
    paper.line("The secret is not shown again.")
