"""What an attempt sent and heard, beside the bodies."""

from bridge.model.value import value


@value(frozen=True, slots=True)
class Form:
    """What is the same in many attempts, as JSON; `id` is made of it."""

    id: str
    text: str


@value(frozen=True, slots=True)
class Evidence:
    """One attempt's: forms, and the values that change, of `sent` first; `heard` None: there was no answer.

    `digest` is the SHA-256 of the body as it was sent. See bridge.rules.wire.evidence.
    """

    sent: Form
    heard: Form | None
    digest: str
    values: tuple[str, ...]


@value(frozen=True, slots=True)
class KnownEvidence:
    """The same, told: where it went and how, with what headers, and what came back (None: no answer).

    Secrets and signatures are shortened. `settings` is a digest of what was configured of the target.
    """

    type: str
    to: str
    method: str | None
    settings: str
    headers: tuple[tuple[str, str], ...]
    body_sha256: str
    answered: tuple[tuple[str, str], ...] | None
