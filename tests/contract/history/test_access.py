"""Tokens and the audit log, on both databases."""

import asyncio

import pytest

from bridge.access.store import SqlAccess
from bridge.core.access import AuditEntry, DeedFilter, KnownToken, Role
from bridge.history.history import SqlHistory
from tests.support.records import NOW, new_id

DIGEST = "ab" * 32


@pytest.fixture
def access(history: SqlHistory) -> SqlAccess:
    return SqlAccess(history.engine)


def a_token(name: str = "grafana", **fields: object) -> KnownToken:
    known = {
        "id": new_id(),
        "role": Role.VIEWER,
        "created_at": NOW,
        "created_by": "admin",
        "last_used_at": None,
        "expires_at": NOW + 60.5,
        "revoked_at": None,
    }
    return KnownToken(name=name, **{**known, **fields})  # type: ignore[arg-type]


def a_deed(at: float = NOW, **fields: str) -> AuditEntry:
    known = {
        "actor": "admin",
        "role": "admin",
        "action": "hooks.pause",
        "object_type": "hook",
        "object_id": "crm",
        "request_id": "r1",
        "remote": "127.0.0.1",
        "detail": '{"n":1}',
    }
    return AuditEntry(id=new_id(at), at=at, **{**known, **fields})


async def test_a_token_is_found_by_its_digest_alone(access: SqlAccess):
    token = a_token()
    assert await access.add_token(token, DIGEST)
    assert await access.token_of(DIGEST) == token
    assert await access.token_of("cd" * 32) is None
    assert list(await access.tokens()) == [token]


async def test_a_name_is_free_again_once_its_token_is_revoked(access: SqlAccess):
    first, second = a_token(), a_token(role=Role.ADMIN)
    assert await access.add_token(first, DIGEST)
    assert not await access.add_token(second, "cd" * 32)
    assert await access.revoke_token(first.id, NOW + 1)
    assert await access.add_token(second, "cd" * 32)
    assert [token.revoked_at for token in await access.tokens()] == [NOW + 1, None]


async def test_of_many_who_want_one_name_at_once_one_gets_it(access: SqlAccess):
    added = await asyncio.gather(*(access.add_token(a_token(), f"{n:064x}") for n in range(8)))
    assert sorted(added) == [False] * 7 + [True]


async def test_a_token_is_revoked_once(access: SqlAccess):
    token = a_token()
    await access.add_token(token, DIGEST)
    assert await access.revoke_token(token.id, NOW + 1)
    assert not await access.revoke_token(token.id, NOW + 2)
    assert not await access.revoke_token("nobody", NOW + 2)
    found = await access.token_of(DIGEST)
    assert found is not None
    assert found.revoked_at == NOW + 1


async def test_the_last_use_never_goes_back(access: SqlAccess):
    token = a_token()
    await access.add_token(token, DIGEST)
    await access.tokens_used({token.id: NOW + 9, "gone": NOW})
    await access.tokens_used({token.id: NOW + 3})
    await access.tokens_used({})
    found = await access.token_of(DIGEST)
    assert found is not None
    assert found.last_used_at == NOW + 9


async def test_deeds_come_newest_first_in_pages(access: SqlAccess):
    deeds = [a_deed(NOW + n, object_id=f"h{n}") for n in range(5)]
    for deed in deeds:
        await access.write_deed(deed)
    first = await access.deeds(DeedFilter(), after=None, limit=3)
    rest = await access.deeds(DeedFilter(), after=first.next, limit=3)
    assert [*first.items, *rest.items] == deeds[::-1]
    assert rest.next is None
    with pytest.raises(ValueError, match="cursor"):
        await access.deeds(DeedFilter(), after="nonsense", limit=3)


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (DeedFilter(actor="ops"), "c"),
        (DeedFilter(action="hooks.delete"), "b"),
        (DeedFilter(object_type="token"), "c"),
        (DeedFilter(object_id="a", object_type="hook"), "a"),
        (DeedFilter(since=NOW + 1), "cb"),
        (DeedFilter(until=NOW + 1), "a"),
        (DeedFilter(since=NOW + 1, until=NOW + 2, actor="admin"), "b"),
        (DeedFilter(actor="nobody\0"), ""),
    ],
)
async def test_a_filter_finds_what_every_field_fits(access: SqlAccess, which: DeedFilter, found: str):
    await access.write_deed(a_deed(NOW, object_id="a"))
    await access.write_deed(a_deed(NOW + 1, object_id="b", action="hooks.delete"))
    await access.write_deed(a_deed(NOW + 2, object_id="c", object_type="token", actor="ops"))
    page = await access.deeds(which, after=None, limit=9)
    assert "".join(deed.object_id for deed in page.items) == found


async def test_what_no_database_can_hold_is_escaped(access: SqlAccess):
    await access.write_deed(a_deed(object_id="a\0b\ud800"))
    [deed] = (await access.deeds(DeedFilter(), after=None, limit=1)).items
    assert deed.object_id == "a\\x00b\\ud800"


async def test_old_deeds_are_forgotten_the_oldest_first(access: SqlAccess):
    for n in range(5):
        await access.write_deed(a_deed(NOW + n, object_id=str(n)))
    assert await access.forget_deeds(NOW + 2.5, 2) == 2
    assert await access.forget_deeds(NOW + 2.5, 2) == 1
    assert await access.forget_deeds(NOW + 2.5, 2) == 0
    left = await access.deeds(DeedFilter(), after=None, limit=9)
    assert [deed.object_id for deed in left.items] == ["4", "3"]
