"""Charts: what is delivered stands above the axis, what failed below it."""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from bridge.ui.svg import attempts, bars, sparkline, steps

SERIES = [{"at": "2026-01-01T00:01:00Z", "succeeded": 4, "failed": 2, "skipped": 1}]


def test_steps_without_counts_have_zeros():
    made = steps(SERIES, "minute", "2026-01-01T00:00:00Z", "2026-01-01T00:03:00Z")
    assert [(each.succeeded, each.failed, each.total) for each in made] == [(0, 0, 0), (4, 2, 7), (0, 0, 0)]
    assert made[1].at == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


def test_bars_stand_above_and_hang_below_the_axis_and_lead_to_their_span():
    made = steps(SERIES, "minute", "2026-01-01T00:00:00Z", "2026-01-01T00:03:00Z")
    drawn = bars(made, 'a "label" <', lambda step: f"/x?at={step.at.isoformat()}&y=1")
    root = ET.fromstring(str(drawn))
    good, bad = (root.find(f".//rect[@class='f-{kind}']") for kind in ("ok", "fail"))
    assert good is not None
    assert bad is not None
    assert float(good.attrib["y"]) + float(good.attrib["height"]) <= 48 <= float(bad.attrib["y"])
    assert root.attrib["aria-label"] == 'a "label" <'
    assert [link.attrib["href"] for link in root.iter("a")] == ["/x?at=2026-01-01T00:01:00+00:00&y=1"]


def test_no_chart_needs_a_style_attribute():
    made = steps(SERIES, "hour", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    points = [(0.0, 0.1, False), (60.0, 0.2, True)]
    for drawn in (
        bars(made, "x"),
        sparkline(made, "x"),
        attempts(points, "x"),
        bars([], "x"),
        attempts([], "x"),
    ):
        assert not re.search(r"\sstyle=|\son\w+=", str(drawn))
        ET.fromstring(str(drawn))
