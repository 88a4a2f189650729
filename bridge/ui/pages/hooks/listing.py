"""The list of hooks, and what is done to several of them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.ui import svg
from bridge.ui.page import Action, Page, Refused, View
from bridge.ui.pages.hooks.state import target_of, word_of

FILTERS = ("state", "target", "managed_by", "q", "sort")
_OPTIONS = {
    "state": "--state",
    "target": "--target",
    "managed_by": "--managed-by",
    "q": "--search",
    "sort": "--sort",
}
_MOST = 200
"""Hooks that one form may switch."""
_MOST_SERIES = 50
"""Hooks whose series are asked for at once."""


async def _list(view: View) -> Mapping[str, Any]:
    found = await view.list("hooks.list", FILTERS, sort="trouble")
    days = await _days(view, [hook["id"] for hook in found.items])
    totals = {} if found.next or "cursor" in view.query else await _totals(view)
    rows = [
        {
            "hook": hook,
            "state": word_of(hook),
            "to": target_of(hook),
            "day": days.get(hook["id"]),
            "p95_ms": totals.get(hook["id"], {}).get("p95_ms"),
        }
        for hook in found.items
    ]
    return {"found": found, "filters": FILTERS, "rows": rows}


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours of a hook."""

    steps: Sequence[svg.Step]

    @property
    def succeeded(self) -> int:
        """Returns the deliveries that became SUCCESS."""
        return sum(step.succeeded for step in self.steps)

    @property
    def failed(self) -> int:
        """Returns the deliveries that became FAILED."""
        return sum(step.failed for step in self.steps)

    @property
    def success(self) -> float | None:
        """Returns the percentage of succeeded among succeeded and failed; None where there are none."""
        ended = self.succeeded + self.failed
        return 100 * self.succeeded / ended if ended else None


async def _days(view: View, hooks: Sequence[str]) -> Mapping[str, Day]:
    """Returns the last day of each hook; nothing if it cannot be read now."""
    if not hooks:
        return {}
    query: dict[str, str | list[str]] = {"hook": [*hooks[:_MOST_SERIES]], "by": "hour", "from": "24h"}
    answer = await view.ask("stats.series", query=query)
    if not answer.ok:
        return {}
    since, until = answer.document["from"], answer.document["to"]
    return {
        each["hook"]: Day(svg.steps(each["steps"], "hour", since, until)) for each in answer.document["items"]
    }


async def _totals(view: View) -> Mapping[str, Any]:
    """Returns the totals of the last day by hook, where few hooks are shown; nothing if they cannot be read now."""
    answer = await view.ask("stats.show", query={"from": "24h"})
    return {each["hook"]: each for each in answer.document["hooks"]} if answer.ok else {}


async def _switch(view: View) -> str:
    resume = view.form.get("do") == "resume"
    verb, body = ("resume", None) if resume else ("pause", {"reason": str(view.form.get("reason", ""))})
    chosen = view.form.getall("hook", [])[:_MOST]
    answers = [await view.ask(f"hooks.{verb}", id=str(which), body=body) for which in chosen]
    refused = [answer for answer in answers if not answer.ok]
    if refused and len(refused) == len(answers):
        raise Refused(refused[0])
    view.notice = f"{len(answers) - len(refused)} {verb}d." + (
        f" {len(refused)} refused: {refused[0].document['detail']}" if refused else ""
    )
    return view.back_to(str(view.form.get("return", "")), "hooks")


PAGES = (
    Page(
        path="hooks",
        section="hooks",
        template="hooks/list.html",
        show=_list,
        operations=("hooks.list", "stats.series", "stats.show"),
        topics=("hooks",),
        command="hooks list",
        options=_OPTIONS,
        export="hooks.list",
    ),
)
ACTIONS = (Action(path="hooks/switch", run=_switch, operations=("hooks.pause", "hooks.resume")),)
