"""Charts as SVG, made here: shapes with classes of the style sheet, as the Content-Security-Policy refuses style attributes.

The only module that makes markup: it writes numbers and escaped text.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from bridge.ui.words import parsed_time

STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_MOST_STEPS = 800
_WIDTH, _HEIGHT = 600, 96


class Step(NamedTuple):
    """The counts of one step of a series."""

    at: datetime
    until: datetime
    succeeded: int
    failed: int
    skipped: int

    @property
    def total(self) -> int:
        """Returns all of them."""
        return self.succeeded + self.failed + self.skipped


def steps(series: Sequence[Mapping[str, Any]], by: str, since: str, until: str) -> list[Step]:
    """Returns a step for each minute, hour or day from one time of the API to the other; those without counts have zeros.

    `series` is that of the statistics of the API.
    """
    size = STEPS[by]
    known = {parsed_time(each["at"]): each for each in series}
    at, end = parsed_time(since), parsed_time(until)
    made: list[Step] = []
    while at < end and len(made) < _MOST_STEPS:
        counts = known.get(at, {})
        made.append(
            Step(at, at + size, *(counts.get(name, 0) for name in ("succeeded", "failed", "skipped")))
        )
        at += size
    return made


def bars(shown: Sequence[Step], label: str, link: Callable[[Step], str] | None = None) -> Markup:
    """Returns a chart: delivered above the axis, failed below it; `link` returns where the bar of a step leads."""
    most = max((max(each.succeeded, each.failed) for each in shown), default=0) or 1
    width = _WIDTH / max(1, len(shown))
    half = _HEIGHT / 2 - 1
    parts = [f'<line class="axis" x1="0" y1="{_HEIGHT // 2}" x2="{_WIDTH}" y2="{_HEIGHT // 2}"/>']
    for place, step in enumerate(shown):
        drawn = _bar(place * width, width * 0.8, half * step.succeeded / most, half * step.failed / most)
        if drawn and link is not None:
            tip = escape(f"{step.at:%Y-%m-%d %H:%M} UTC: {step.succeeded} / {step.failed}")
            drawn = f'<a href="{escape(link(step))}" tabindex="-1"><title>{tip}</title>{drawn}</a>'
        parts.append(drawn)
    role = "img" if link is None else "group"  # an image has no links in it
    return _svg(f"0 0 {_WIDTH} {_HEIGHT}", "".join(parts), label, role=role)


def sparkline(shown: Sequence[Step], label: str) -> Markup:
    """Returns a small chart of 96 by 24 for a row of a table: as `bars`, without links."""
    most = max((max(each.succeeded, each.failed) for each in shown), default=0) or 1
    width = 96 / max(1, len(shown))
    parts = [
        _bar(place * width, width * 0.75, 15 * step.succeeded / most, 7 * step.failed / most, axis=16)
        for place, step in enumerate(shown)
    ]
    return _svg("0 0 96 24", "".join(parts), label, "spark")


def attempts(points: Sequence[tuple[float, float, bool]], label: str) -> Markup:
    """Returns attempts on an axis of time; of each when it started and how long it took in seconds, and whether it delivered."""
    first = min((at for at, _, _ in points), default=0.0)
    span = max((at + took for at, took, _ in points), default=0.0) - first or 1.0
    parts = [f'<line class="axis" x1="0" y1="16" x2="{_WIDTH}" y2="16"/>']
    for at, took, good in points:
        left = (at - first) / span * (_WIDTH - 8)
        width = max(6.0, took / span * (_WIDTH - 8))
        top = 4 if good else 16
        parts.append(
            f'<rect class="f-{"ok" if good else "fail"}" x="{left:.1f}" y="{top}" width="{width:.1f}" height="12"/>'
        )
    return _svg(f"0 0 {_WIDTH} 32", "".join(parts), label, "attempts")


def _bar(left: float, width: float, up: float, down: float, axis: int = _HEIGHT // 2) -> str:
    made = ""
    if up:
        made += f'<rect class="f-ok" x="{left:.1f}" y="{axis - 1 - max(1.0, up):.1f}" width="{width:.1f}" height="{max(1.0, up):.1f}"/>'
    if down:
        made += f'<rect class="f-fail" x="{left:.1f}" y="{axis + 1}" width="{width:.1f}" height="{max(1.0, down):.1f}"/>'
    return made


def _svg(box: str, content: str, label: str, style: str = "bars", role: str = "img") -> Markup:
    return Markup(  # noqa: S704 -- numbers and escaped text
        f'<svg class="{style}" viewBox="{box}" preserveAspectRatio="none" role="{role}" aria-label="{escape(label)}">{content}</svg>'
    )
