"""Which addresses can be a history's, and what is said about the others."""

import pytest

from bridge.model.errors import SettingsError
from bridge.storage.history import open_history


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bridge.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:bridge.db",
        "sqlite://server/bridge.db",
        "sqlite:///bridge.db?mode=ro",
        "sqlite+aiosqlite:///bridge.db",
        "postgresql://",
        "postgresql://user:hunter2@/db",
        "postgresql://user:hunter2@server",
        "postgresql://user:hunter2@server/db?options=x",
        "postgresql://user:hunter2@server:port/db",
        "postgresql+psycopg://user:hunter2@server/db",
        "mysql://user:hunter2@server/db",
    ],
)
async def test_an_address_that_cannot_be_a_history_is_refused_with_what_can(url: str):
    with pytest.raises(SettingsError) as caught:
        await open_history(url)

    (problem,) = caught.value.problems
    assert problem.path == "storage.url"
    assert "sqlite:///bridge.db" in problem.message
    assert "postgresql://user:password@host/database" in problem.message
    assert "hunter2" not in str(caught.value)
