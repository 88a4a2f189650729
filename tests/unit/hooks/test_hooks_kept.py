"""What answers do not show is kept when a hook is sent back; merge patches are those of RFC 7396."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.base import plain
from bridge.core.hook import Hook
from bridge.hooks.service import free_name, name_for
from bridge.hooks.validate import patched, replaced, unkept, without_read_only
from bridge.settings.shown import HIDDEN, shown

TEXT = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8).filter(
    lambda text: text != HIDDEN
)
HEADERS = st.dictionaries(st.sampled_from(["X-Api-Key", "Authorization", "X-Plain", "Accept"]), TEXT)
WEBHOOKS = st.fixed_dictionaries(
    {"type": st.just("webhook"), "url": TEXT.map("https://example.net/{}?token=secret".format)},
    optional={
        "secrets": st.lists(TEXT, max_size=3),
        "headers": HEADERS,
        "auth": st.fixed_dictionaries({"type": st.just("basic"), "username": TEXT, "password": TEXT}),
        "proxy": st.just("http://me:secret@proxy:3128"),
        "timeout": st.integers(1, 600),
    },
)
SCRIPTS = st.fixed_dictionaries(
    {
        "type": st.just("script"),
        "command": st.lists(TEXT, min_size=1, max_size=3).map(lambda c: [*c, "--token=x"]),
    },
    optional={"env": st.dictionaries(st.sampled_from(["DB_PASSWORD", "LANG"]), TEXT)},
)
NOTIFIES = st.fixed_dictionaries({"type": st.just("notify"), "urls": st.lists(TEXT, min_size=1, max_size=3)})
HOOKS = st.one_of(WEBHOOKS, SCRIPTS, NOTIFIES).map(
    lambda target: Hook.model_validate({"name": "crm", "target": target})
)


def as_shown(hook: Hook) -> dict[str, Any]:
    """As an answer has it."""
    whole: dict[str, Any] = json.loads(
        json.dumps({**hook.model_dump(exclude={"target"}), "target": shown(hook.target)})
    )
    return whole


@given(HOOKS)
def test_a_hook_that_is_sent_back_as_it_was_shown_is_the_same(hook: Hook):
    back = replaced(as_shown(hook), hook.target)
    assert unkept(back) == []
    assert Hook.model_validate(back).target == hook.target


@given(HOOKS, HOOKS)
def test_a_patch_with_what_was_shown_changes_nothing(hook: Hook, other: Hook):
    back = patched(plain(hook), as_shown(hook), hook.target)
    assert Hook.model_validate(back).target == hook.target
    whole = Hook.model_validate(patched(plain(hook), plain(other), hook.target))
    if other.target.type != hook.target.type:
        assert whole.target == other.target


@given(HOOKS, HOOKS)
def test_nothing_is_kept_for_another_kind_of_target(hook: Hook, other: Hook):
    if other.target.type != hook.target.type:
        tree = plain(other)
        assert replaced(tree, hook.target) == tree


QUEUE = Hook.model_validate({"name": "q", "target": {"type": "queue", "queue": "q"}}).target


@pytest.mark.parametrize(
    ("tree", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_patch_does_what_rfc_7396_says(tree: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]):
    assert patched(tree, patch, QUEUE) == result


@pytest.mark.parametrize(
    "tree", [None, 5, "text", [], {"target": None}, {"target": []}, {"target": {"type": 5}}]
)
def test_what_is_no_hook_stays_as_it_is(tree: Any):
    assert replaced(without_read_only(tree), QUEUE) == tree
    assert unkept(tree) == []


@given(
    st.recursive(
        st.none() | st.booleans() | TEXT | st.just(HIDDEN),
        lambda each: (
            st.lists(each)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "url",
                        "headers",
                        "env",
                        "auth",
                        "secrets",
                        "urls",
                        "command",
                        "proxy",
                        "endpoints",
                        "X-Key",
                    ]
                ),
                each,
            )
        ),
    ),
    HOOKS,
)
def test_nothing_that_is_sent_for_a_target_breaks_the_keeping(part: Any, hook: Hook):
    for target in (part, {"type": hook.target.type, **part} if isinstance(part, dict) else part):
        tree = {"name": "crm", "target": target}
        unkept(replaced(tree, hook.target))
        unkept(patched(plain(hook), tree, hook.target))


@given(
    st.recursive(st.none() | st.integers() | TEXT, lambda each: st.lists(each) | st.dictionaries(TEXT, each))
)
def test_every_target_suggests_a_name_that_a_hook_may_have(part: Any):
    for tree in (
        {"target": part},
        {"target": {"type": "webhook", "url": part}},
        {"target": {"command": part}},
    ):
        name = name_for(tree)
        assert Hook.model_validate({"name": name, "target": {"type": "queue", "queue": "q"}}).name == name


@given(st.text("ab", min_size=1, max_size=64))
def test_a_taken_name_is_numbered_and_stays_short_enough(wanted: str):
    taken = {wanted, free_name(wanted, {wanted})}
    name = free_name(wanted, taken)
    assert name not in taken
    assert len(name) <= 64
