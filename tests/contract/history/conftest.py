from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.history.history import SqlHistory, open_history


@pytest.fixture(params=["sqlite", "postgresql"])
def history_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without rows, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    url: str = request.getfixturevalue("emptied_postgres_url")
    return url


@pytest.fixture
async def history(history_url: str) -> AsyncIterator[SqlHistory]:
    opened = await open_history(history_url)
    yield opened
    await opened.close()
