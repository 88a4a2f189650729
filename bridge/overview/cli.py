"""`amqp-bridge overview`."""

from typing import Any

from bridge.terminal.options import WATCHED, RemoteCommands, examples
from bridge.terminal.paper import Column, TablePrinter, column, count, milliseconds, moment, text
from bridge.terminal.remote import Remote

_STYLES = {"critical": "red", "warning": "yellow"}


def _what(alarm: Any) -> str:
    causes = ", ".join(_cause(each) for each in alarm["causes"][:3])
    return "; ".join(filter(None, (text(alarm["reason"]), causes, _progress(alarm))))


def _cause(cause: Any) -> str:
    return f"{text(cause['outcome'])} {text(cause['status_code'])}".strip() + f" x {cause['attempts']}"


def _progress(alarm: Any) -> str:
    if alarm["count"] is None:
        return ""
    more = "" if alarm["exact"] else " or more"
    return (
        count(alarm["count"], "message") + more
        if alarm["total"] is None
        else f"{alarm['count']}/{alarm['total']}{more}"
    )


ALARMS = (
    column("level", style=lambda level: _STYLES.get(level, "")),
    Column("alarm", lambda row: text(row["kind"]).replace("_", " ")),
    column("name", "of", least=8),
    column("since", show=moment),
    column("failed", right=True, drop=2),
    column("waiting", right=True, drop=1),
    Column("what", _what, least=16, drop=3),
)

app = RemoteCommands()


@app.remote(epilog=examples("amqp-bridge overview --watch"), common=WATCHED)
def overview(to: Remote) -> None:
    """Show what needs attention, and the figures of the last hour."""
    to.show("/overview", _show)


def _show(paper: TablePrinter, answer: Any) -> None:
    paper.table(ALARMS, answer["alarms"], "nothing needs attention")
    if (tiles := answer["tiles"]) is None:
        return
    paper.line()
    paper.facts(
        [
            ("since", moment(tiles["since"])),
            ("delivered", text(tiles["delivered"])),
            ("failed", text(tiles["failed"])),
            ("p95", milliseconds(tiles["p95_ms"]) if tiles["p95_ms"] is not None else ""),
            ("waiting", _number(tiles["waiting"])),
            ("oldest waiting", moment(tiles["oldest_waiting_at"]) if tiles["oldest_waiting_at"] else ""),
            ("quarantined", _number(tiles["quarantined"])),
        ]
    )


def _number(counted: Any) -> str:
    return text(counted["count"]) + ("" if counted["exact"] else " or more")
