"""What may stand where in the settings: the models, looked through by path."""

import re
import types
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bridge.settings.transport import SecretUrl
from bridge.settings.yaml import KeyPath

Model = type[BaseModel]

TELLING = re.compile(
    "auth|cookie|credential|key|pass|pwd|secret|token|signature|(?<![a-z])(?:pw|dsn)(?![a-z])", re.IGNORECASE
)
"""Names of headers and variables whose values are not shown; their type does not tell that they are secret."""
_LOGIN = re.compile(r"://[^/?#\s@]*:[^\s@]+@")


def tells(name: str, text: str) -> bool:
    """Whether the value of a header or variable is a secret, by its name or because it is an address with a password."""
    return bool(TELLING.search(name) or _LOGIN.search(text))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several models, told apart by the value of one key."""

    key: str
    models: dict[str, Model]


@dataclass(frozen=True, slots=True)
class ListOf:
    item: Any


@dataclass(frozen=True, slots=True)
class DictOf:
    item: Any


Shape = Any
"""A Choice, a ListOf, a DictOf, a model, or the plain type of a single value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an error is: its path as people write it, and the model that its last key belongs to."""

    path: KeyPath
    owner: Model | None
    shape: Shape

    @property
    def secret(self) -> bool:
        """Whether what stands here must not be shown."""
        return self.shape in (SecretStr, SecretUrl) or bool(TELLING.search(str(self.path[-1:])))


def shape_of(annotation: Any) -> Shape:
    """What an annotation lets stand there; `| None` and constraints are left out."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return shape_of(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        members = [member for member in get_args(annotation) if member is not type(None)]
        return shape_of(members[0]) if len(members) == 1 else annotation
    if origin is list:
        return ListOf(shape_of(get_args(annotation)[0]))
    if origin is dict:
        return DictOf(shape_of(get_args(annotation)[1]))
    return annotation


def shape_of_field(field: FieldInfo) -> Shape:
    """What may stand at a model's field."""
    if isinstance(field.discriminator, str):
        models = get_args(field.annotation)
        return Choice(field.discriminator, {_tag(model, field.discriminator): model for model in models})
    return shape_of(field.annotation)


def _tag(model: Model, key: str) -> str:
    return str(get_args(model.model_fields[key].annotation)[0])


def fields_of(model: Model) -> dict[str, FieldInfo]:
    """A model's fields by their names as people write them: `schema` cannot be the name of a pydantic field."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def is_model(shape: Shape) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)


def inside(shape: Shape, step: str | int) -> Shape | None:
    """What may stand at one key or index of `shape`; None where nothing may."""
    if isinstance(shape, ListOf):
        return shape.item if isinstance(step, int) else None
    if isinstance(shape, DictOf):
        return shape.item
    if is_model(shape):
        field = fields_of(shape).get(str(step))
        return None if field is None else shape_of_field(field)
    return None


def locate(model: Model, loc: Sequence[str | int]) -> Place:
    """The place of an error by pydantic's `loc`, which also names the chosen member of a union."""
    shape: Shape = model
    owner: Model | None = None
    path: KeyPath = ()
    for step in loc:
        if isinstance(shape, Choice):
            shape = shape.models[str(step)]
            continue
        if shape is None or step == "[key]":
            break
        owner = shape if is_model(shape) else None
        shape = inside(shape, step)
        path = (*path, step)
    return Place(path, owner, shape)


def written(path: KeyPath) -> str:
    """A path as messages show it: `hooks[2].target.headers["X-Y"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "").replace("-", "").isalnum():
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def nearest(word: str, known: Sequence[str]) -> str:
    """A question that offers the known word nearest to `word`, in whatever case, or the known ones where they are few."""
    if match := get_close_matches(word, known, n=1, cutoff=0.6):
        return f"; did you mean {match[0]}?"
    in_small = {each.lower(): each for each in reversed(known)}
    if match := get_close_matches(word.lower(), list(in_small), n=1, cutoff=0.6):
        return f"; did you mean {in_small[match[0]]}?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 12 else ""
