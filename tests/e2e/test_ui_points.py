"""The promises of the operator UI that every run checks, in Chromium at a bridge that runs; `./dev ui-check` checks all."""

import shutil

import pytest

from tests.support.scene import Scene
from tests.ui_check.__main__ import of_scene
from tests.ui_check.points import QUICK
from tests.ui_check.points.access import guesses
from tests.ui_check.seed import fill


@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on the path")
async def test_every_page_is_accessible_quiet_inert_and_closed_to_those_who_may_not(scene: Scene):
    async with of_scene(scene, quick=True) as subject:
        await fill(subject)
        found = {point.name: await point.found(subject) for point in QUICK}
        found["guesses"] = await guesses(subject)
    assert {name: faults for name, faults in found.items() if faults} == {}
