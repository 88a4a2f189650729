"""JSON Schemas of the envelopes of the five systems and of CloudEvents.

Sources: the systems' documentation and code; CloudEvents 1.0, JSON format. Further keys are allowed, because publishers
add some. PHP serializes an empty object as `[]`, which is therefore allowed wherever a PHP program is the sender.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, WithJsonSchema
from pydantic.config import JsonDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CLOCK = r"^[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?$"
_MOMENT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})$"
)

Moment = Annotated[str, Field(pattern=_MOMENT)]
"""ISO 8601 with seconds and an offset."""
Name = Annotated[str, Field(min_length=1)]
PhpObject = Annotated[Any, WithJsonSchema({"type": ["object", "array"], "maxItems": 0})]
PhpObjectOrNull = Annotated[Any, WithJsonSchema({"type": ["object", "array", "null"], "maxItems": 0})]
PhpValue = Annotated[Any, WithJsonSchema({"type": ["object", "array", "null"]})]


class _Open(BaseModel):
    """A model that allows further keys."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


class SplynxData(_Open):
    """The event itself: what a script of Splynx reads."""

    source: str | None = None
    """Where it was done, such as admin or api."""
    model: Name
    r"""PHP class, such as models\admin\customers\Customer."""
    action: Name
    """create, update, delete, get_list, ..."""
    date: Annotated[str, Field(pattern=_DATE)] | None = None
    """Local date of the server."""
    time: Annotated[str, Field(pattern=_CLOCK)] | None = None
    """Local time of the server, without a zone."""
    administrator_id: str | None = None
    """Who did it, where an administrator did."""
    customer_id: str | None = None
    """Customer it concerns."""
    result: str | None = None
    """success, or what else came of it."""
    attributes: PhpObjectOrNull = None
    """Fields of the object."""
    attributes_additional: PhpObjectOrNull = None
    """Additional fields of the object."""
    changed_attributes: PhpValue = None
    """Fields as they were before."""
    extra: Any = None
    """Whatever else the event brings along."""
    errors: Any = None
    """What went wrong."""
    ip: str | None = None
    """Address of whoever did it, may be empty."""


class SplynxEvent(_Open):
    """An event of Splynx, from a queue (`type` and `call` may be empty) or a webhook."""

    type: Literal["", "event"] = ""
    """event; empty from a queue."""
    call: str = ""
    """Such as customer/create; may be empty from a queue."""
    data: SplynxData
    """The event itself."""


class SplynxPing(_Open):
    """The request with which Splynx tests a webhook."""

    type: Literal["ping"]
    """ping."""


class PhlixEvent(_Open):
    """An event of Phlix's signed webhooks."""

    event_type: Name
    """Such as playback.started."""
    payload: PhpObject
    """Its data; an empty one is []."""
    occurred_at: Moment
    """When it happened."""


class PhlixSubscription(_Open):
    """An event of Phlix's subscriptions, which are not signed."""

    event_type: Name
    """Such as media.played."""
    payload: PhpObject
    """Its data; an empty one is []."""
    event_id: int | str
    """Id of the event."""
    delivery_id: int | str
    """Id of the delivery."""
    timestamp: Moment
    """When it happened."""


class PlinqxMetadata(_Open):
    """The origin of an event of Plinqx."""

    tenantId: str | None = None  # noqa: N815 - the publisher's spelling
    """Id of the tenant."""
    principalId: str | None = None  # noqa: N815 - the publisher's spelling
    """Id of the principal."""


class PlinqxEvent(_Open):
    """An event of Plinqx."""

    event: Name
    """Such as invocation.completed."""
    timestamp: Moment
    """When it happened."""
    data: dict[str, Any]
    """Its data."""
    metadata: PlinqxMetadata
    """Whose event it is."""


class CockpitEvent(_Open):
    """An event of a Cockpit 1 webhook."""

    event: Name
    """Such as collections.save.after."""
    hook: str
    """Name of the webhook."""
    backend: Literal[0, 1]
    """1 where the admin application runs."""
    args: list[Any]
    """Arguments of the event."""


class CockpitArguments(RootModel[Annotated[list[Any], Field(min_length=1)]]):
    """An event of a Cockpit 2 webhook: its bare arguments."""


_OF_VERSION_1: JsonDict = {"anyOf": [{"required": [key]} for key in ("event", "hook", "backend", "args")]}


class CockpitPayload(_Open):
    """A payload that the owner of a Cockpit 2 webhook defined: any object that is not one of Cockpit 1."""

    model_config = ConfigDict(json_schema_extra={"not": _OF_VERSION_1})


class TikiRequest(RootModel[Any]):
    """A request to Tiki with any body: its webhooks accept every body with a valid signature."""


_ONE_OF_BOTH: JsonDict = {"not": {"required": ["data", "data_base64"]}}


class CloudEvent(_Open):
    """A CloudEvent in structured mode, alone or as one of a batch."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_BOTH)

    specversion: Annotated[str, Field(pattern=r"^(0\.3|1\.[0-9]+)$")]
    """Version of CloudEvents."""
    id: Name
    """Unique with `source`."""
    source: Name
    """URI reference of where it happened."""
    type: Name
    """What happened."""
    time: Moment | None = None
    """When it happened."""
    subject: Name | None = None
    """What it is about, within the source."""
    datacontenttype: Name | None = None
    """Media type of the data."""
    dataschema: Name | None = None
    """URI of the data's schema."""
    data: Any = None
    """The data."""
    data_base64: str | None = None
    """The data, where it is no JSON."""


ENVELOPES: dict[str, Any] = {
    "splynx": SplynxEvent | SplynxPing,
    "phlix": PhlixEvent | PhlixSubscription,
    "plinqx": PlinqxEvent,
    "cockpit": CockpitEvent | CockpitArguments | CockpitPayload,
    "tiki": TikiRequest,
    "cloudevents": CloudEvent,
}
"""Models by the name that the source setting `schema` accepts."""


def _by(condition: dict[str, Any], then: type[BaseModel], otherwise: dict[str, Any]) -> dict[str, Any]:
    return {"if": condition, "then": _reference(then), "else": otherwise}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{model.__name__}"}


# JSON Schema without `anyOf`, because validation errors of `anyOf` only say that no branch matched.
_CHOICES: dict[str, dict[str, Any]] = {
    "splynx": _by(
        {"required": ["type"], "properties": {"type": {"const": "ping"}}}, SplynxPing, _reference(SplynxEvent)
    ),
    "phlix": _by(
        {"type": "object", "required": ["event_id", "delivery_id"]}, PhlixSubscription, _reference(PhlixEvent)
    ),
    "cockpit": _by(
        {"type": "array"},
        CockpitArguments,
        _by({"type": "object", **_OF_VERSION_1}, CockpitEvent, _reference(CockpitPayload)),
    ),
}


class Terse(GenerateJsonSchema):
    """Generates schemas with readable validation errors: no titles or defaults, null as a type, not a branch."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Returns the schema without its default."""
        return self.generate_inner(schema["schema"])

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Returns `type: [..., "null"]` where the type is a plain one."""
        inner = self.generate_inner(schema["schema"])
        if isinstance(inner.get("type"), str):
            return {**inner, "type": [inner["type"], "null"]}
        return super().nullable_schema(schema)

    def union_schema(self, schema: core_schema.UnionSchema) -> JsonSchemaValue:
        """Returns `type: [...]` where all choices are plain types."""
        found = super().union_schema(schema)
        kinds = [each["type"] for each in found.get("anyOf", ()) if each.keys() == {"type"}]
        return {"type": kinds} if kinds and len(kinds) == len(found["anyOf"]) else found

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Returns False: the key is title enough."""
        return False


def json_schema(model: Any) -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of a model or of a union of models."""
    return TypeAdapter(model).json_schema(schema_generator=Terse)


def envelope_schema(name: str) -> dict[str, Any]:
    """Returns the JSON Schema of one system's envelope. Raises KeyError if the name is not in ENVELOPES."""
    schema = json_schema(ENVELOPES[name])
    if name in _CHOICES:
        del schema["anyOf"]
        schema |= _CHOICES[name]
    return schema
