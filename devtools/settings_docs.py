"""JSON Schemas and the table of all settings, from the models."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bridge.core import base
from bridge.core.event import Source
from bridge.core.hook import Hook
from bridge.core.inlet import Inlet, Verifier
from bridge.settings.shape import Choice, fields_of, is_model, shape_of_field
from bridge.settings.tree import OtherBroker, Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"
_LIMITS = (
    ("ge", "from {}"),
    ("gt", "over {}"),
    ("le", "up to {}"),
    ("min_length", "length from {}"),
    ("max_length", "length up to {}"),
)
_UNITS: dict[Any, str] = {base.seconds: "seconds", base.size: "bytes", base.per_second: "per second"}


INTRODUCTION = """\
# Settings

Made from the code by `./dev generate`; do not edit.

Settings stand in a YAML file: that of `amqp-bridge run -c FILE`, else the one that `BRIDGE_CONFIG` names, else `bridge.yaml` in
the folder. Each of them can also come from the environment or
from a file in a secrets directory, under the name in the last column. The last of these that gives a value wins:
default, file, secrets directory, environment.

- **In the file** `${NAME}` in a text is replaced by the environment variable `NAME`, else by the content of the file `NAME`
  in the secrets directory; one of them must be there (only `http.admin_token` may be left unset). `$${NAME}` stands for
  the text `${NAME}` itself.
- **File of variables:** `BRIDGE_ENV_FILE`, lines `NAME=value` as systemd and Docker read them. They go before the
  environment, which a process keeps as it was started with.
- **Secrets directory:** `BRIDGE_SECRETS_DIR`, else `/run/secrets` where there is one. A file's name is the
  setting's name in the environment, its content the value, without the line end.
- **Environment:** lists and mappings are written as JSON or YAML, such as `BRIDGE_SOURCES='[{"name": "a", "queue": "q"}]'`.
  An empty variable counts as not set.
- **Durations** are written as `250ms`, `15s`, `5m`, `2h30m`, `7d` (a bare number is seconds), **sizes** as `64kB` or `1MiB`
  (a bare number is bytes), **rates** as `50/s`, `30/m` or `1000/h`. Bounds are in seconds, bytes and per second.
- Unknown keys are errors. `amqp-bridge check` tells everything that is wrong at once, and contacts nothing.
"""


def config_schema_text() -> str:
    """JSON Schema of the configuration file."""
    return _schema_text(Settings, "amqp-bridge configuration", _or_variable)


def hook_schema_text() -> str:
    """JSON Schema of one hook."""
    return _schema_text(Hook, "amqp-bridge hook")


def _schema_text(
    model: type[BaseModel], title: str, change: Callable[[Any], Any] = lambda schema: schema
) -> str:
    schema = {"$schema": DIALECT, **change(model.model_json_schema()), "title": title}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _or_variable(schema: Any) -> Any:
    """The schema with a text such as `${PORT}` allowed wherever a number, true or false, or a choice stands."""
    if isinstance(schema, list):
        return [_or_variable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _or_variable(value) for key, value in schema.items()}
    if changed.get("type") in ("integer", "number", "boolean"):
        return changed | {"type": [changed["type"], "string"], "pattern": _VARIABLE}
    if "enum" in changed:
        choice = {"enum": changed.pop("enum"), "type": changed.pop("type")}
        return changed | {"anyOf": [choice, {"type": "string", "pattern": _VARIABLE}]}
    return changed


def settings_text() -> str:
    """The table of all settings."""
    return "\n".join([INTRODUCTION.rstrip(), *_sections(), ""])


def _sections() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        shape = shape_of_field(field)
        if is_model(shape):
            yield from _table(f"`{name}`", shape, f"{name}.", f"BRIDGE_{name.upper()}__")
    yield from _table("`brokers.<name>`", OtherBroker, "brokers.<name>.", "BRIDGE_BROKERS__<NAME>__")
    yield from _table("`sources[]`", Source, "", "")
    yield from _table("`hooks[]`", Hook, "", "")
    choice = shape_of_field(Hook.model_fields["target"])
    assert isinstance(choice, Choice)
    for tag, model in choice.models.items():
        yield from _table(f"`hooks[].target` of type `{tag}`", model, "", "")
    yield from _table("`inlets[]`", Inlet, "", "")
    yield from _table("`inlets[].verify[]`", Verifier, "", "")


def _table(title: str, model: type[BaseModel], path: str, variable: str) -> Iterator[str]:
    last = " environment |" if variable else ""
    yield f"\n## {title}\n\n{model.__doc__}\n"
    yield f"| setting | default | unit | bounds | meaning |{last}"
    yield "|---|---|---|---|---|" + ("---|" if variable else "")
    yield from _rows(model, path, variable)


def _rows(model: type[BaseModel], path: str, variable: str, required: str = "required") -> Iterator[str]:
    for name, field in fields_of(model).items():
        shape = shape_of_field(field)
        if is_model(shape):
            inner = f"{variable}{name.upper()}__" if variable else ""
            yield from _rows(shape, f"{path}{name}.", inner, f"required with `{path}{name}`")
            continue
        cells = [f"`{path}{name}`", _default(field) or required, _unit(field), _bounds(field, shape)]
        cells.append(" ".join((field.description or "").split()))
        if variable:
            cells.append(f"`{variable}{name.upper()}`")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value in (PydanticUndefined, None, ""):
        return "none"
    if isinstance(value, list | dict):
        return f"`{json.dumps(value, default=str)}`" if value else "none"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return f"`{_SHOWN.get(_unit(field), str)(value)}`"


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds >= 1 or seconds == 0 else f"{seconds * 1000:g}ms"


def _metadata(field: FieldInfo) -> list[Any]:
    """What is said of the field and of the types within its annotation."""
    return [*field.metadata, *_within(field.annotation)]


def _within(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation):
        yield from _within(argument)


def _unit(field: FieldInfo) -> str:
    known = (_UNITS.get(item.func) for item in _metadata(field) if isinstance(item, BeforeValidator))
    return next((unit for unit in known if unit), "")


def _bounds(field: FieldInfo, shape: Any) -> str:
    if get_origin(shape) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(shape))
    if isinstance(shape, Choice):
        return ", ".join(f"`{tag}`" for tag in shape.models)
    show = _SHOWN.get(_unit(field), _plain)
    return ", ".join(_bound(item, show) for item in field.metadata if _bound(item, show))


def _bound(item: Any, show: Callable[[float], str]) -> str:
    for name, text in _LIMITS:
        if (value := getattr(item, name, None)) is not None:
            return text.format(value if "length" in name else show(value))
    pattern = getattr(item, "pattern", None)
    return f"`{pattern}`" if pattern else ""


def _size(number: float) -> str:
    for unit, size in (("MiB", 1024**2), ("KiB", 1024), ("kB", 1000)):
        if number >= size and number % size == 0:
            return f"{number // size:.15g}{unit}"
    return _plain(number)


def _plain(number: float) -> str:
    return f"{number:.15g}"


_SHOWN: dict[str, Callable[[float], str]] = {"seconds": _duration, "bytes": _size}
