"""An empty history."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.history.history import SqlHistory, open_history


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqlHistory]:
    opened = await open_history(f"sqlite:///{tmp_path}/bridge.db")
    yield opened
    await opened.close()
