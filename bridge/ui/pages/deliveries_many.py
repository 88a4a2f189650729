"""Retrying and cancelling many deliveries: the selected ones, or all that a filter asks for, counted before."""

from collections.abc import Mapping
from typing import Any

from bridge.ui.page import Action, Page, Refused, View
from bridge.ui.spans import absolute

_VERBS = {"retry": "retried", "cancel": "cancelled"}
_FILTERS = (
    *("hook", "status", "type", "source", "outcome", "status_code", "reason", "replay"),
    *("from", "to", "updated_from", "updated_to"),
)
_SURE = 10_000
"""Deliveries from which on the number has to be typed."""


def _few(verb: str) -> Action:
    """Returns the action for selected deliveries."""

    async def run(view: View) -> str:
        ids = [str(each) for each in view.form.getall("id", [])]
        done = await view.call(f"deliveries.{verb}_many", body={"ids": ids}) if ids else None
        view.notice = _told(verb, done) if done else "nothing is selected"
        return view.back_to(str(view.form.get("back", "")), "deliveries")

    return Action(path=f"deliveries/{verb}", run=run, operations=(f"deliveries.{verb}_many",))


async def _show(view: View) -> Mapping[str, Any]:
    """Returns the filter with absolute times, so that exactly what was counted is taken, and the count."""
    asked = {name: ",".join(view.query.getall(name)) for name in _FILTERS if view.query.get(name)}
    return await _counted(view, _verb(view.query.get("do")), absolute(asked, end="updated_to"))


async def _counted(view: View, verb: str, asked: Mapping[str, str], wrong: str = "") -> Mapping[str, Any]:
    answer = await view.ask(f"deliveries.{verb}_many", body={"filter": _filter(asked), "dry_run": True})
    if not answer.ok and answer.status not in {400, 422}:
        raise Refused(answer)
    counted = answer.document if answer.ok else None
    return {
        "verb": verb,
        "asked": asked,
        "counted": counted,
        "detail": "" if answer.ok else answer.document["detail"],
        "sure": counted is not None and (counted["count"] >= _SURE or not counted["exact"]),
        "wrong": wrong,
    }


async def _start(view: View) -> str | Mapping[str, Any]:
    verb = _verb(str(view.form.get("do", "")))
    asked = {name: str(view.form[name]) for name in _FILTERS if view.form.get(name)}
    if "typed" in view.form and view.form["typed"] != view.form.get("count"):
        return await _counted(view, verb, asked, "type the number as it stands")
    view.notice = _told(verb, await view.call(f"deliveries.{verb}_many", body={"filter": _filter(asked)}))
    return view.below(
        "deliveries", **{name: asked[name] for name in ("hook", "type", "source") if name in asked}
    )


def _filter(asked: Mapping[str, str]) -> dict[str, Any]:
    wanted: dict[str, Any] = dict(asked)
    if "status" in wanted:
        wanted["status"] = wanted["status"].split(",")
    if wanted.get("status_code", "").lstrip("-").isdecimal():
        wanted["status_code"] = int(wanted["status_code"])
    return wanted


def _verb(given: str | None) -> str:
    return given if given in _VERBS else "retry"


def _told(verb: str, done: Mapping[str, Any]) -> str:
    left = f", {done['left_out']} left out" if done["left_out"] else ""
    more = "" if done["exact"] else "; there are more: start it again for the rest"
    return f"{done['count']:,} {_VERBS[verb]}{left}{more}"


_MANY = Page(
    path="deliveries/many",
    section="deliveries",
    template="deliveries/many.html",
    show=_show,
    operations=("deliveries.retry_many", "deliveries.cancel_many"),
)
PAGES = (_MANY,)
ACTIONS = (
    _few("retry"),
    _few("cancel"),
    Action(
        path="deliveries/many",
        run=_start,
        operations=("deliveries.retry_many", "deliveries.cancel_many"),
        form=_MANY,
    ),
)
