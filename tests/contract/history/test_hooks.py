"""Hooks of the API in the database: versions, names, secrets, what was said of hooks."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from bridge.core.errors import SettingsError
from bridge.core.hook import Hook, NameTaken, Overtaken, TooMany
from bridge.core.ports import HookState
from bridge.history.history import SqlHistory, open_history
from bridge.hooks.store import Sealer, SqlHooks

KEY, OTHER_KEY = "a key of sixteen and more", "another key of sixteen"
NOW = 1_800_000_000.0


@pytest.fixture
def store(history: SqlHistory) -> SqlHooks:
    return SqlHooks(history.engine, Sealer([KEY]))


def hook(name: str = "crm", **changes: Any) -> Hook:
    """A hook with secrets in many places, and a fresh id."""
    target = {
        "type": "webhook",
        "url": "https://me:Geheimnis-1@example.net/in",
        "secrets": ["Geheimnis-2", "Geheimnis-3"],
        "auth": {"type": "basic", "username": "me", "password": "Geheimnis-4"},
        "headers": {"X-Api-Key": "Geheimnis-5"},
        "timeout": "20s",
    }
    given = {"name": name, "rate": "50/s", "retry": {"schedule": ["5s", "1m"]}, "target": target} | changes
    return Hook.model_validate(given).with_id("hk_" + "".join(random.choices("abcdefghij", k=16)))


async def everything(history: SqlHistory) -> str:
    """All that stands in the table, as somebody sees it who has the database and no key."""
    return str(await history.engine.read(lambda c: c.execute(text("SELECT * FROM hooks")).all()))


async def test_a_hook_is_stored_and_read_as_it_was_made(store: SqlHooks):
    made = await store.add_hook(one := hook(), NOW)
    assert (made.hook, made.version, made.created_at, made.updated_at) == (one, 1, NOW, NOW)
    assert made.hook.id == one.id
    assert await store.stored_hook(one.id) == made
    stored = await store.stored_hooks()
    assert (stored.hooks, stored.revision, stored.gone) == ([made], made.revision, {})


async def test_what_somebody_reads_in_the_database_holds_no_secret(store: SqlHooks, history: SqlHistory):
    made = await store.add_hook(hook(), NOW)
    await store.replace_hook(made.hook, NOW, version=1, ends=(("Geheimnis-3", NOW + 60),))
    assert "crm" in await everything(history)
    assert "Geheimnis" not in await everything(history)


async def test_every_kind_of_target_is_read_as_it_was_made(store: SqlHooks):
    targets = [
        {"type": "script", "command": ["run", "--token=x"], "env": {"A": "b"}, "exit_codes": {"3": "retry"}},
        {"type": "queue", "queue": "copies", "headers": {"a": "b"}},
        {"type": "notify", "urls": ["discord://id/token"], "endpoints": {"ntfy": "https://n"}},
    ]
    made = [
        await store.add_hook(hook(f"h{index}", target=target), NOW) for index, target in enumerate(targets)
    ]
    assert (await store.stored_hooks()).hooks == made
    anew = SqlHooks(store.engine, Sealer([KEY]))
    assert (await anew.stored_hooks()).hooks == made


async def test_every_change_raises_the_version_and_the_revision(store: SqlHooks):
    assert await store.revision() == 0
    made = await store.add_hook(hook(), NOW)
    changed = made.hook.model_copy(update={"description": "now with a description"})
    replaced = await store.replace_hook(changed, NOW + 5, version=1)
    assert (replaced.version, replaced.created_at, replaced.updated_at) == (2, NOW, NOW + 5)
    assert made.revision < replaced.revision == await store.revision()
    assert (await store.stored_hooks()).hooks == [replaced]
    await store.say("crm", lambda state: replace(state, said_paused=True))
    assert await store.revision() > replaced.revision


async def test_of_two_that_change_one_version_the_second_is_refused(store: SqlHooks):
    made = await store.add_hook(hook(), NOW)
    changes = [made.hook.model_copy(update={"description": str(number)}) for number in range(6)]
    results = await asyncio.gather(
        *(store.replace_hook(each, NOW + at, version=1) for at, each in enumerate(changes)),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Overtaken"] * 5 + ["StoredHook"]
    assert (await store.stored_hooks()).hooks[0].version == 2


async def test_of_many_that_take_one_name_at_once_one_gets_it(store: SqlHooks):
    results = await asyncio.gather(
        *(store.add_hook(hook("same"), NOW) for _ in range(8)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["NameTaken"] * 7 + ["StoredHook"]
    assert len((await store.stored_hooks()).hooks) == 1


async def test_a_hook_cannot_be_renamed_to_the_name_of_another(store: SqlHooks):
    await store.add_hook(hook("first"), NOW)
    second = await store.add_hook(hook("second"), NOW)
    with pytest.raises(NameTaken):
        await store.replace_hook(
            second.hook.model_copy(update={"name": "first"}), NOW, version=second.version
        )
    assert await store.stored_hook(second.hook.id) == second


async def test_no_more_hooks_are_stored_than_may_be(store: SqlHooks):
    first = await store.add_hook(hook("one"), NOW, most=2)
    await store.add_hook(hook("two"), NOW, most=2)
    with pytest.raises(TooMany):
        await store.add_hook(hook("three"), NOW, most=2)
    await store.delete_hook(first.hook.id, "gone", NOW, version=None)
    await store.add_hook(hook("three"), NOW, most=2)


async def test_a_hook_goes_step_by_step_and_its_name_is_free_once_it_is_gone(store: SqlHooks):
    made = await store.add_hook(hook(), NOW)
    with pytest.raises(Overtaken):
        await store.delete_hook(made.hook.id, "drain", NOW, version=7)
    draining = await store.delete_hook(made.hook.id, "drain", NOW + 1, version=1)
    assert (draining.deleting, draining.version, draining.hook) == ("drain", 2, made.hook)
    with pytest.raises(NameTaken):
        await store.add_hook(hook(), NOW)
    dropping = await store.delete_hook(made.hook.id, "drop", NOW + 2, version=None)
    with pytest.raises(Overtaken):
        await store.replace_hook(made.hook, NOW, version=dropping.version)
    await store.delete_hook(made.hook.id, "gone", NOW + 3, version=None)
    stored = await store.stored_hooks()
    assert (list(stored.hooks), set(stored.gone)) == ([], {made.hook.id})
    assert await store.stored_hook(made.hook.id) is None
    with pytest.raises(Overtaken):
        await store.delete_hook(made.hook.id, "drop", NOW + 4, version=None)
    await store.add_hook(hook(), NOW)


async def test_of_a_hook_that_is_gone_no_secret_stays(store: SqlHooks, history: SqlHistory):
    made = await store.add_hook(hook(), NOW)
    await store.say(made.hook.id, lambda state: replace(state, paused=True, reason="gone"))
    await store.delete_hook(made.hook.id, "gone", NOW, version=None)
    sealed = await history.engine.read(lambda c: c.execute(text("SELECT sealed FROM hooks")).scalars().all())
    assert sealed == [None]
    assert await history.hook_states() == {}


async def test_secrets_that_were_replaced_sign_until_they_end(store: SqlHooks):
    made = await store.add_hook(hook(), NOW)
    ends = (("Geheimnis-2", NOW + 60), ("Geheimnis-3", NOW + 90))
    stored = await store.replace_hook(made.hook, NOW, version=1, ends=ends)
    assert (await SqlHooks(store.engine, Sealer([KEY])).stored_hooks()).hooks == [stored]
    live = [
        [secret.get_secret_value() for secret in stored.live(NOW + at).target.secrets]  # type: ignore[union-attr]
        for at in (0, 59.9, 60, 90)
    ]
    assert live == [["Geheimnis-2", "Geheimnis-3"], ["Geheimnis-2", "Geheimnis-3"], ["Geheimnis-3"], []]
    assert [stored.next_end(NOW + at) for at in (0, 60, 90)] == [NOW + 60, NOW + 90, None]
    assert stored.live(NOW).id == made.hook.id


async def test_what_one_process_writes_another_reads(history_url: str, store: SqlHooks):
    other_history = await open_history(history_url)
    other = SqlHooks(other_history.engine, Sealer([KEY]))
    assert (await other.stored_hooks()).hooks == []
    made = await store.add_hook(hook(), NOW)
    assert (await other.stored_hooks()).hooks == [made]
    replaced = await other.replace_hook(made.hook.model_copy(update={"paused": True}), NOW + 1, version=1)
    assert (await store.stored_hooks()).hooks == [replaced]
    await other_history.close()


# ---- keys -----------------------------------------------------------------------------------------------


async def test_a_new_key_in_front_opens_what_the_old_one_sealed_and_takes_its_place(history: SqlHistory):
    made = await SqlHooks(history.engine, Sealer([KEY])).add_hook(hook(), NOW)
    both = SqlHooks(history.engine, Sealer([OTHER_KEY, KEY]))
    assert (await both.stored_hooks()).hooks == [made]
    assert await both.reseal() == 1
    assert await both.reseal() == 0
    assert (await SqlHooks(history.engine, Sealer([OTHER_KEY])).stored_hooks()).hooks == [made]


async def test_without_its_key_a_hook_is_broken_and_the_setting_is_named(history: SqlHistory):
    made = await SqlHooks(history.engine, Sealer([KEY])).add_hook(hook(), NOW)
    other = SqlHooks(history.engine, Sealer([OTHER_KEY]))
    sound = await other.add_hook(hook("two"), NOW)
    assert await other.reseal() == 0
    found = {stored.hook.name: stored.hook for stored in (await other.stored_hooks()).hooks}
    assert found["two"] == sound.hook
    assert found["two"].fault is None
    fault = found["crm"].fault
    assert fault is not None
    assert "storage.encryption_keys" in fault.reason
    assert (set(fault.unread), fault.provisional) == ({"target"}, False)
    assert (found["crm"].id, found["crm"].events, found["crm"].rate) == (made.hook.id, made.hook.events, 50.0)
    assert "Geheimnis" not in repr(found["crm"])
    with pytest.raises(SettingsError):
        await SqlHooks(history.engine, Sealer([])).add_hook(hook("three"), NOW)


async def test_a_hook_that_another_replica_sealed_anew_is_opened_then(history: SqlHistory):
    made = await SqlHooks(history.engine, Sealer([KEY])).add_hook(hook(), NOW)
    other = SqlHooks(history.engine, Sealer([OTHER_KEY]))
    assert (await other.stored_hooks()).hooks[0].hook.fault is not None
    await SqlHooks(history.engine, Sealer([OTHER_KEY, KEY])).reseal()
    assert (await other.stored_hooks()).hooks == [made]


async def test_a_hook_that_cannot_be_opened_can_be_deleted(history: SqlHistory):
    made = await SqlHooks(history.engine, Sealer([KEY])).add_hook(hook(), NOW)
    other = SqlHooks(history.engine, Sealer([OTHER_KEY]))
    for how in ("drop", "gone"):
        await other.delete_hook(made.hook.id, how, NOW, version=None)
    assert (await other.stored_hooks()).gone == {made.hook.id: made.hook.name}


async def test_a_sealed_target_opens_for_its_own_hook_only(store: SqlHooks, history: SqlHistory):
    first, second = await store.add_hook(hook("one"), NOW), await store.add_hook(hook("two"), NOW)
    swap = text("UPDATE hooks SET sealed = (SELECT sealed FROM hooks WHERE id = :two) WHERE id = :one")
    ids = {"one": first.hook.id, "two": second.hook.id}
    await history.engine.write(lambda c: c.execute(swap, ids) and None)
    found = await store.stored_hook(first.hook.id)
    assert found is not None
    assert found.hook.fault is not None
    assert "changed by somebody else" in found.hook.fault.reason


async def test_a_hook_of_a_later_version_is_broken_and_may_ask_for_anything(
    store: SqlHooks, history: SqlHistory
):
    made = await store.add_hook(hook(events=["orders.*"]), NOW)
    later = text("UPDATE hooks SET document = replace(document, '\"rate\"', '\"of_a_later_version\"')")
    await history.engine.write(lambda c: c.execute(later) and None)
    found = await SqlHooks(history.engine, Sealer([KEY])).stored_hook(made.hook.id)
    assert found is not None
    assert (found.hook.name, found.hook.id) == ("crm", made.hook.id)
    assert found.hook.fault is not None
    assert found.hook.fault.provisional
    assert "of_a_later_version" in found.hook.fault.reason


# ---- what was said --------------------------------------------------------------------------------------


async def test_what_a_person_said_of_a_hook_survives_what_the_bridge_says(
    store: SqlHooks, history: SqlHistory
):
    said = HookState("crm", paused=False, reason="night", at=NOW, said_enabled=False, said_paused=True)
    assert await store.say("crm", lambda _: said) == said
    assert await history.hook_states() == {"crm": said}
    await history.set_hook_state(HookState("crm", paused=True, reason="gone", at=NOW + 1))
    own = HookState("crm", paused=True, reason="gone", at=NOW + 1, said_enabled=False, said_paused=True)
    assert await history.hook_states() == {"crm": own}
    assert await store.say("crm", lambda state: replace(state, paused=False)) == replace(own, paused=False)
    written = Hook.model_validate({"name": "crm", "target": {"type": "queue", "queue": "q"}})
    over = own.over(written)
    assert (over.enabled, over.paused, over.id, own.overlaid) == (False, True, "crm", True)
    assert HookState("crm", paused=True, reason="", at=NOW).over(written) is written
