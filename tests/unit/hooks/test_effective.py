"""Which hooks are in force: the file's, the API's, and what was said of them."""

from bridge.core.hook import Hook, HookFault, StoredHook, StoredHooks
from bridge.core.ports import HookState
from bridge.core.target import WebhookTarget
from bridge.hooks.runners import Effective, effective

NOW = 1000.0


def hook(name, hook_id=None, **fields):
    target = {"type": "webhook", "url": "https://example.net/", "secrets": ["old", "new"]}
    made = Hook.model_validate({"name": name, "target": target, **fields})
    return made.with_id(hook_id) if hook_id else made


def stored(name, deleting="", ends=(), **fields):
    return StoredHook(hook(name, f"hk_{name}", **fields), 1, 1, 0.0, 0.0, deleting, ends)


def in_force(written=(), kept=(), states=(), gone=(), fault_of=lambda _stored: None) -> Effective:
    said = {state.hook: state for state in states}
    return effective(written, StoredHooks(9, kept, dict.fromkeys(gone, "gone")), said, fault_of, NOW)


def test_those_of_the_file_and_of_the_api_are_matched():
    found = in_force([hook("a")], [stored("b")])
    assert [each.id for each in found.routed] == ["a", "hk_b"]
    assert (found.revision, found.draining, found.deleted, found.left_out) == (9, (), {}, ())


def test_a_name_of_the_file_goes_first_and_the_other_is_left_out():
    found = in_force([hook("a")], [stored("a"), stored("b")])
    assert [each.id for each in found.routed] == ["a", "hk_b"]
    [(left_out, why)] = found.left_out
    assert left_out.id == "hk_a"
    assert "'a'" in why


def test_those_being_deleted_match_nothing_and_only_a_drain_is_served():
    found = in_force([], [stored("a", "drain"), stored("b", "drop"), stored("c")], gone=["hk_d"])
    assert [each.id for each in found.routed] == ["hk_c"]
    assert [each.id for each in found.draining] == ["hk_a"]
    assert found.deleted == {"hk_b": "webhook", "hk_d": ""}


def test_a_hook_that_drains_has_no_name_that_others_could_want():
    found = in_force([hook("a")], [stored("a", "drain")])
    assert ([each.id for each in found.routed], [each.id for each in found.draining]) == (["a"], ["hk_a"])


def test_what_a_person_said_lies_over_the_file():
    state = HookState("a", paused=False, reason="", at=0.0, said_enabled=False, said_paused=True)
    [found] = in_force([hook("a")], states=[state]).routed
    assert (found.enabled, found.paused, found.id) == (False, True, "a")


def test_one_that_cannot_be_served_is_matched_all_the_same_and_costs_the_others_nothing():
    fault = HookFault("no such broker")
    found = in_force(
        [], [stored("a"), stored("b")], fault_of=lambda each: fault if each.hook.name == "a" else None
    )
    assert [(each.id, each.fault) for each in found.routed] == [("hk_a", fault), ("hk_b", None)]
    assert found.left_out == ()


def test_what_cannot_be_read_of_a_hook_leaves_it_all_that_it_may_ask_for():
    asking = {"sources": ["x"], "events": ["a.*"], "filter": "event.data.n =="}
    fault = HookFault("filter: no valid CEL", frozenset({"filter"}))
    [unsure] = in_force([hook("a", **asking).with_fault(fault)]).routed
    assert (unsure.sources, unsure.events, unsure.filter) == (["x"], ["a.*"], None)
    assert fault.provisional
    known = HookFault("target.url: no valid address", frozenset({"target"}))
    [sure] = in_force([hook("a", **asking).with_fault(known)]).routed
    assert sure.filter == asking["filter"]
    assert not known.provisional


def test_a_secret_that_ended_signs_no_more():
    assert live_secrets(stored("a", ends=(("old", NOW),))) == ["new"]
    assert live_secrets(stored("a", ends=(("old", NOW + 1),))) == ["old", "new"]


def live_secrets(hook: StoredHook) -> list[str]:
    [found] = in_force([], [hook]).routed
    assert isinstance(found.target, WebhookTarget)
    return [secret.get_secret_value() for secret in found.target.secrets]
