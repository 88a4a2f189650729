"""Tokens, the audit log, sources and replicas as people see them."""

from typing import Any

from bridge.cli.showing.columns import Column, member
from bridge.cli.showing.paper import Paper
from bridge.cli.showing.words import moment, text
from bridge.rules.bodies.exact import json_text


def _end(token: Any) -> str:
    if token.get("revoked_at"):
        return f"revoked {moment(token['revoked_at'])}"
    return moment(token.get("expires_at"))


def _detail(detail: Any) -> str:
    return text(json_text(detail)) if detail else ""


TOKENS = (
    member("name", least=12),
    member("role"),
    member("id", drop=4),
    Column("created", lambda row: moment(row.get("created_at")), drop=3),
    member("created_by", "by", least=6, drop=5),
    Column("last used", lambda row: moment(row.get("last_used_at")) or "never", drop=1),
    Column("ends", _end, drop=2),
)
DEEDS = (
    Column("at", lambda row: moment(row["at"])),
    member("actor", least=8),
    member("role", drop=4),
    member("action", least=12),
    Column("object", lambda row: f"{text(row.get('object_type'))} {text(row.get('object_name') or row.get('object_id'))}".strip(), least=12, drop=1),
    member("remote", drop=5),
    Column("detail", lambda row: _detail(row.get("detail")), least=16, drop=2),
)  # fmt: skip
SOURCES = (
    member("name", least=8),
    member("queue", least=12, drop=2),
    member("format", drop=4),
    Column(
        "state",
        lambda row: text(row["state"]),
        style=lambda each: "green" if each == "consuming" else "yellow",
    ),
    member("depth", right=True),
    member("consumers", right=True, drop=1),
    Column("held", lambda row: f"{row['held']}/{row['prefetch']}", right=True, drop=3),
)
REPLICAS = (
    member("id", least=12),
    member("host", least=8),
    member("targets", least=8, drop=1),
    Column("started", lambda row: moment(row["started_at"]), drop=3),
    Column("seen", lambda row: moment(row["seen_at"]), drop=2),
    member("revision", right=True, drop=4),
)


def show_tokens(paper: Paper, answer: Any) -> None:
    """A list of tokens."""
    paper.table(TOKENS, answer["items"], "no tokens but http.admin_token")


def show_new_token(paper: Paper, token: Any) -> None:
    """A new token, this once."""
    paper.facts(
        [
            ("name", text(token.get("name"))),
            ("role", text(token.get("role"))),
            ("id", text(token.get("id"))),
            ("token", text(token.get("token"))),
            ("expires", moment(token.get("expires_at"))),
        ]
    )
    paper.line("The token is not shown again.")


def show_me(paper: Paper, me: Any) -> None:
    """Who asks."""
    paper.line(f"{text(me.get('name'))}: {text(me.get('role'))}")


def show_deeds(paper: Paper, answer: Any) -> None:
    """A part of the audit log."""
    paper.table(DEEDS, answer["items"], "nothing was changed")


def show_sources(paper: Paper, answer: Any) -> None:
    """Sources."""
    paper.table(SOURCES, answer["items"], "no sources")


def show_replicas(paper: Paper, answer: Any) -> None:
    """Replicas."""
    paper.table(REPLICAS, answer["items"], "no replicas")
