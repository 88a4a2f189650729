"""A pooler before PostgreSQL is noticed, and nothing is kept beyond a transaction; what it cannot do is told."""

import asyncio
from urllib.parse import urlsplit

import pytest

from bridge.core.errors import HistoryUnavailable
from bridge.db.survey import survey_database
from bridge.history.history import open_history
from bridge.settings.transport import StorageTls
from tests.support.pgbouncer import pgbouncer
from tests.support.records import a_delivery, an_event, delivered


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_many_who_share_few_connections_commit_and_read_all_at_once(postgres_url: str, mode: str):
    async with pgbouncer(postgres_url, mode) as url:
        histories = [await open_history(url) for _ in range(1 if mode == "session" else 4)]
        for _ in range(5):
            batches = [[delivered(a_delivery(an_event())) for _ in range(20)] for _ in range(12)]
            written = [
                histories[number % len(histories)].commit(batch) for number, batch in enumerate(batches)
            ]
            ids = [record.delivery.id for record in batches[0]]
            looks = [history.known(ids) for history in histories for _ in range(3)]
            assert (await asyncio.gather(*written, *looks))[:12] == [[]] * 12
        assert await histories[0].counts_by_status() == {"SUCCESS": 5 * 12 * 20}
        shown = await histories[0].engine.read(
            lambda connection: connection.exec_driver_sql("SHOW statement_timeout").scalar()
        )
        for history in histories:
            await history.close()

        assert shown == "10s"
        found = await survey_database(url, url, StorageTls())
        assert (found.failure, found.pooled) == ("", True)
    assert not (await survey_database(postgres_url, postgres_url, StorageTls())).pooled


async def test_statement_mode_and_startup_parameters_are_told_with_what_to_do(postgres_url: str):
    async with pgbouncer(postgres_url, "statement") as url:
        with pytest.raises(HistoryUnavailable, match="pool_mode is to be session or transaction"):
            await open_history(url)
        with pytest.raises(HistoryUnavailable, match="leave `options` out of storage"):
            await open_history(f"{url}?options=-c%20search_path=public")
        password = str(urlsplit(url).password)
        with pytest.raises(HistoryUnavailable, match="check user and password in storage") as refused:
            await open_history(url.replace(password, "hunter2"))
    assert "hunter2" not in str(refused.value)


class Told:
    """A login that keeps what is told of it."""

    def __init__(self, user: str | None, password: str | None) -> None:
        self.login = user, password
        self.refusals: list[str] = []

    async def now(self) -> tuple[str | None, str | None]:
        return self.login

    def refused(self, why: str) -> None:
        self.refusals.append(why)

    def taken(self) -> None:
        self.refusals.clear()


@pytest.mark.parametrize("which", ["password", "user", "neither", "parameter"])
async def test_a_login_that_the_pooler_refuses_counts_as_refused_and_nothing_else_does(
    postgres_url: str, which: str
):
    async with pgbouncer(postgres_url, "transaction") as url:
        parts = urlsplit(url)
        login = Told(
            "nobody" if which == "user" else parts.username,
            "hunter2" if which == "password" else parts.password,
        )
        opening = open_history(
            f"{url}?options=-c%20search_path=public" if which == "parameter" else url, login=login
        )
        if which == "neither":
            await (await opening).close()
        else:
            with pytest.raises(HistoryUnavailable):
                await opening
        assert bool(login.refusals) == (which in {"password", "user"})
