"""Bodies as trees, text and bytes."""

from bridge.ui.bodies import MOST_HEX, MOST_NODES, MOST_TEXT, of_event, of_text


def test_json_is_a_tree_first():
    assert of_text('{"a":1}', None).views == ["tree", "raw", "hex"]
    assert of_text("plain", None).views == ["raw", "hex"]
    assert of_text(None, "//4=").views == ["hex"]


def test_a_tree_has_a_path_for_each_value():
    tree = of_event({"data": {"a": [1, {"b": None}]}}).tree()
    inner = tree.children[0].children[1].children[0]
    assert (inner.path, inner.kind, inner.text) == ("$.a[1].b", "literal", "null")


def test_a_number_keeps_its_digits():
    assert of_event({"data": 12345678901234567890123}).tree().text == "12345678901234567890123"


def test_large_bodies_are_cut_and_say_so():
    wide = of_event({"data": list(range(MOST_NODES * 2))}).tree()
    assert len(wide.children) <= MOST_NODES
    assert wide.children[-1].kind == "cut"
    assert of_text("x" * (MOST_TEXT + 5), None).lines()[1] == 5
    assert of_text("x" * (MOST_HEX + 5), None).hexadecimal()[1] == 5


def test_deep_bodies_do_not_recurse_without_end():
    text = "[" * 100 + "]" * 100
    node, depth = of_text(text, None).tree(), 0
    while node.children:
        node, depth = node.children[0], depth + 1
    assert depth < 50
    assert node.kind == "cut"
