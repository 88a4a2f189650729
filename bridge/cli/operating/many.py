"""Many messages in quarantine put back or deleted at once."""

from collections.abc import Mapping
from typing import Any

import typer

from bridge.cli.asking.client import Answer, segment
from bridge.cli.asking.remote import Remote
from bridge.cli.failures import FAILED, usage
from bridge.cli.showing.paper import Paper
from bridge.cli.showing.words import count, text
from bridge.rules.bodies.exact import json_text

Chosen = dict[str, Any]


def chosen(
    ids: list[str] | None, source: str | None, reason: str | None, *, everything: bool
) -> Chosen | None:
    """The filter, None where ids are given instead; raises SettingsError for both, and for --all beside a filter."""
    which = {name: value for name, value in (("source", source), ("reason", reason)) if value is not None}
    if ids and (which or everything):
        raise usage("", "give either ids, or --source and --reason, or --all")
    if everything and which:
        raise usage("--all", "goes not with --source and --reason")
    return which | ({"all": True} if everything else {}) or None


def requeue_many(to: Remote, which: Chosen) -> None:
    """Put back all that fit; raises Exit where some cannot go back."""
    body = {name: value for name, value in which.items() if name != "all"}
    total: dict[str, Any] = {"requeued": 0, "kept": 0, "error": None, "more": True}
    while total["more"]:
        told = to.change("POST", "/quarantine/requeue", body).value
        total["requeued"] += told["requeued"]
        total |= {"kept": told["kept"], "error": total["error"] or told["error"], "more": told["more"]}
        if not told["requeued"]:
            break
    to.say(_answer(total), _show_requeued)
    if total["kept"]:
        raise typer.Exit(FAILED)


def drop_many(to: Remote, which: Chosen) -> None:
    """Delete all that fit."""
    total: dict[str, Any] = {"dropped": 0, "more": True}
    while total["more"]:
        told = to.change("DELETE", "/quarantine", query=which).value
        total = {"dropped": total["dropped"] + told["dropped"], "more": told["more"]}
        if not told["dropped"]:
            break
    to.say(_answer(total), lambda paper, told: paper.line(f"{count(told['dropped'], 'message')} deleted"))


def drop_each(to: Remote, ids: list[str]) -> None:
    """Delete these, whatever becomes of the others; raises Exit as `Remote.each` does."""

    def dropped(message: str) -> Answer:
        answer = to.change("DELETE", f"/quarantine/{segment(message)}")
        if not to.as_json:
            to.paper.line(f"{message}: deleted")
        return answer

    to.each(ids, dropped, lambda _paper, _nothing: None)


def _show_requeued(paper: Paper, told: Mapping[str, Any]) -> None:
    paper.line(f"{count(told['requeued'], 'message')} back in their queues")
    if told["kept"]:
        paper.line(f"{count(told['kept'], 'message')} cannot go back: {text(told['error'])}")


def _answer(total: Mapping[str, Any]) -> Answer:
    return Answer(200, {}, json_text(total).encode(), total)
