"""The queries that docs/history.md hands to operators, and the tables it tells of."""

import re
from pathlib import Path

import pytest

from bridge.db.tables import metadata
from bridge.history.history import open_history
from tests.support.records import delivered, look

_TEXT = (Path(__file__).parents[3] / "docs" / "history.md").read_text()
_QUERIES = re.findall(r"```sql\n(.*?);\n```", _TEXT, re.DOTALL)


@pytest.mark.parametrize("query", _QUERIES)
async def test_a_documented_query_runs(query: str, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/bridge.db"
    history = await open_history(url)
    await history.commit([delivered()])
    await history.close()

    await look(url, query)


@pytest.mark.parametrize("table", metadata.tables.values(), ids=metadata.tables)
def test_every_column_is_explained(table):
    for name in (table.name, *table.columns.keys()):
        assert f"`{name}`" in _TEXT
