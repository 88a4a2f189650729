"""The reader of YAML files: plain values, the line of each, and the replacement of `${NAME}`."""

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bridge.core.errors import Problem, SettingsError

KeyPath = tuple[str | int, ...]
MOST_VALUES = 1_000_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VARIABLE = re.compile(r"\$?\$\{([^}]*)\}")
"""The place of an environment variable in a text; with two dollar signs it is text itself."""
"""`${NAME}` in a text, or `$${NAME}`, which stands for that text itself."""
MAY_BE_UNSET: frozenset[KeyPath] = frozenset({("http", "admin_token")})
"""Settings that are null, and no problem, where their whole text is one variable that is not set."""
NO_KEY = "a key must be plain text"
_UNDEFINED = re.compile("undefined alias .*", re.DOTALL)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with the plain scalars of YAML 1.2.

    YAML 1.1 reads 1:30 as 90, 010 as 8, no as false and 2024-01-01 as a date, which nobody expects here.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- PyYAML's way


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
        "-+0123456789.",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes what YAML 1.1 or 1.2 would read as something else than text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 -- PyYAML's way
        first: yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])
        + _Loader.yaml_implicit_resolvers.get(first, [])
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
    }

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML's emitter writes other line breaks than \n into quotes, where they are read as blanks.
    odd = any(character in text for character in "\r\x85\u2028\u2029")
    style = '"' if odd else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def text_of(value: Any) -> str:
    """Returns plain values as YAML, which `parse` reads as the same values."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


@dataclass
class Document:
    """The content of a text: plain values, the line (from 1) of each by its path, and its problems."""

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)


def read(path: Path) -> Document:
    """Returns the content of the file; raises SettingsError if it cannot be read or is not YAML."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        message = "no such file"
    except IsADirectoryError:
        message = "is a folder, not a file"
    except PermissionError:
        message = "may not be read by this user"
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text (byte {error.start + 1})"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    else:
        return parse(text, str(path))
    raise SettingsError([Problem("", message, str(path))])


def parse(text: str, name: str) -> Document:
    """Returns the content of `text`; raises SettingsError if it is not YAML. `name` is used in messages."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return _Reading(loader).document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise SettingsError([Problem("", f"no valid YAML: {_said(error)}", place)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"no valid YAML: the character U+{int(error.character):04X} is not allowed"
        raise SettingsError([Problem("", message, f"{name}:{line}")]) from None
    except RecursionError:
        raise SettingsError([Problem("", "nested too deeply", name)]) from None


def _unknown(tag: str) -> str:
    """Returns the message without the text, which may be a secret that begins with `!` and lacks quotes."""
    return "unknown tag" if tag.startswith("!") else f"unknown tag {tag}"


def _said(error: yaml.MarkedYAMLError) -> str:
    said = ", ".join(part for part in (error.context, error.problem) if part)
    said = _UNDEFINED.sub("undefined alias", said)
    return f"{said}; {hint}" if (hint := _hint(error)) else said


def _hint(error: yaml.MarkedYAMLError) -> str:
    """Returns advice on texts of this project that YAML reads as something else."""
    if "scanning an alias" in (error.context or "") or "undefined alias" in (error.problem or ""):
        return 'a text that begins with * stands in quotes: "*"'
    if error.problem == _unknown("!"):
        return 'a text that begins with ! stands in quotes: "!"'
    if error.problem == NO_KEY:
        return 'a text that begins with {{ stands in quotes: "{{ event.type }}"'
    if error.problem and error.problem.startswith("mapping values are not allowed"):
        return "a text with a colon and a blank in it stands in quotes"
    return ""


class _Reading:
    """A walk through the nodes of a document."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader
        self._document = Document()
        self._open: set[int] = set()
        self._checked: set[int] = set()
        self._values = 0

    def document(self, node: yaml.Node | None) -> Document:
        if node is not None:
            self._document.value = self._value(node, ())
        return self._document

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise yaml.MarkedYAMLError(problem="aliases make it too large", problem_mark=node.start_mark)
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise yaml.MarkedYAMLError(problem="an alias that holds itself", problem_mark=node.start_mark)
        self._open.add(id(node))
        try:
            return self._collection(node, path)
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag.removeprefix("tag:yaml.org,2002:") not in {"str", "int", "float", "bool", "null"}:
            raise yaml.MarkedYAMLError(problem=_unknown(node.tag), problem_mark=node.start_mark)
        try:
            return self._loader.construct_object(node)
        except (ValueError, KeyError):
            raise yaml.MarkedYAMLError(
                problem=f"no value of {node.tag}", problem_mark=node.start_mark
            ) from None

    def _collection(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return dict(self._pairs(node, path))
        raise yaml.MarkedYAMLError(problem=_unknown(node.tag), problem_mark=node.start_mark)

    def _pairs(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[Hashable, Any]]:
        if id(node) not in self._checked:  # a merge (<<) adds pairs that the mapping's own ones may replace
            self._checked.add(id(node))
            self._refuse_duplicates(node, path)
            self._loader.flatten_mapping(node)
        for key_node, value_node in node.value:
            key = self._key(key_node)
            place = (*path, key if isinstance(key, int) else str(key))
            self._document.lines[place] = key_node.start_mark.line + 1
            yield key, self._value(value_node, place)

    def _refuse_duplicates(self, node: yaml.MappingNode, path: KeyPath) -> None:
        seen: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if key in seen and key != "<<":
                self._document.lines[(*path, str(key))] = line
                self._document.problems.append(((*path, str(key)), f"given twice, first on line {seen[key]}"))
            seen.setdefault(key, line)

    def _key(self, node: yaml.Node) -> Hashable:
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem=NO_KEY, problem_mark=node.start_mark)
        if node.tag == "tag:yaml.org,2002:merge":
            return "<<"
        key: Hashable = self._scalar(node)
        return key


# `${NAME}` in texts.


@dataclass
class Substitution:
    """A copy of plain values with each `${NAME}` replaced from the environment; `$${` is a literal `${`."""

    env: Mapping[str, str]
    private: set[KeyPath] = field(default_factory=set)
    """Where text of the environment went; messages never show it."""
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)

    def fill(self, value: Any, path: KeyPath = ()) -> Any:
        """Returns the copy; `path` is that of the value."""
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, _step(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, index)) for index, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and "${" in value else value

    def _text(self, text: str, path: KeyPath) -> str | None:
        whole = VARIABLE.fullmatch(text)
        if path in MAY_BE_UNSET and whole and not text.startswith("$$") and whole[1] not in self.env:
            return None
        return VARIABLE.sub(lambda match: self._hole(match, path), text)

    def _hole(self, match: re.Match[str], path: KeyPath) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        name = match[1]
        if not NAME.fullmatch(name):
            message = f"{match[0]} names no environment variable; write ${match[0]} for that text itself"
            self.problems.append((path, message))
        elif name not in self.env:
            self.problems.append((path, f"environment variable {name} is not set"))
        self.private.add(path)
        return self.env.get(name, "")


def _step(key: Any) -> str | int:
    return key if isinstance(key, int) else str(key)
