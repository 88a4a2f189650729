"""Events, deliveries and all else that other programs get to see, as JSON Schema can say it."""

from bridge.model.documents.access import ActorDocument, DeedDocument, MadeToken, NewToken, TokenDocument
from bridge.model.documents.deliveries import (
    AddressDocument,
    AttemptDocument,
    DeliveryAlone,
    DeliveryDocument,
    DeliveryInList,
)
from bridge.model.documents.events import DecisionDocument, EventAlone, EventDocument, EventInList
from bridge.model.documents.hooks import (
    HookDocument,
    HookStateDocument,
    NewHook,
    NewSecretDocument,
    OverlayDocument,
    PauseBody,
    ReloadedDocument,
    RemovalDocument,
    SecretBody,
    SourceDocument,
)
from bridge.model.documents.messages import QuarantinedAlone, QuarantinedInList
from bridge.model.documents.shape import (
    BeyondDocument,
    CountedPageDocument,
    InvalidParameter,
    PageDocument,
    PlainProblem,
    ProblemDocument,
    UtcMoment,
)

__all__ = [
    "ActorDocument",
    "AddressDocument",
    "AttemptDocument",
    "BeyondDocument",
    "CountedPageDocument",
    "DecisionDocument",
    "DeedDocument",
    "DeliveryAlone",
    "DeliveryDocument",
    "DeliveryInList",
    "EventAlone",
    "EventDocument",
    "EventInList",
    "HookDocument",
    "HookStateDocument",
    "InvalidParameter",
    "MadeToken",
    "NewHook",
    "NewSecretDocument",
    "NewToken",
    "OverlayDocument",
    "PageDocument",
    "PauseBody",
    "PlainProblem",
    "ProblemDocument",
    "QuarantinedAlone",
    "QuarantinedInList",
    "ReloadedDocument",
    "RemovalDocument",
    "SecretBody",
    "SourceDocument",
    "TokenDocument",
    "UtcMoment",
]
