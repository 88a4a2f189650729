"""What is wrong with the settings of a webhook, by path; nothing is contacted."""

from collections.abc import Callable, Iterator
from functools import partial

from yarl import URL

from bridge.model.target import Signature, WebhookTarget
from bridge.rules.bodies.builder import builder
from bridge.rules.signing.signers import names, signer
from bridge.rules.wire.address import AddressGate
from bridge.rules.wire.headers import check_headers
from bridge.targets.web.auth import auth_checks
from bridge.targets.web.endpoint import parse_proxy, parse_url
from bridge.targets.web.pool import literal_refusal, tls_context

Check = tuple[str, Callable[[], object]]
"""A setting's path, and a call that raises a ValueError when it is wrong."""


def webhook_checks(settings: WebhookTarget) -> Iterator[Check]:
    """All that no change of the world around can mend; paths start at `target`."""
    yield "target.url", lambda: parse_url(settings.url)
    yield "target.proxy", lambda: settings.proxy is not None and parse_proxy(settings.proxy)
    yield from _signing(settings)
    made_by = "target.body" if settings.template is None else "target.template"
    yield made_by, lambda: builder(settings.body, settings.profile, hook="", template=settings.template)
    yield "target.headers", lambda: check_own_headers(settings)
    if settings.auth is not None:
        for field, check in auth_checks(settings.auth).items():
            yield f"target.auth.{field}", check
    yield "target.tls", lambda: tls_context(settings.tls)
    yield "target.success", lambda: check_success(settings)


def address_checks(settings: WebhookTarget, gate: AddressGate) -> Iterator[Check]:
    """Addresses that stand in URLs which can be read, and that neither `gate` nor the hook's own list allows."""
    gate = gate.also(settings.allow_private_targets)
    yield "target.url", partial(_check_address, settings.url, gate)
    if settings.proxy is not None:
        yield "target.proxy", partial(_check_address, settings.proxy, gate)
    if settings.auth is not None and settings.auth.type == "oauth2":
        yield "target.auth.token_url", partial(_check_address, settings.auth.token_url, gate)


def check_own_headers(settings: WebhookTarget) -> None:
    """Raise a ValueError for headers of the hook that cannot be sent or that belong to profile or `auth`."""
    reserved = names(settings.profile, settings.signature, secrets=bool(settings.secrets))
    if settings.auth:
        reserved |= {"authorization"}
    check_headers(((name, value.strip()) for name, value in settings.headers.items()), reserved)


def check_success(settings: WebhookTarget) -> None:
    """Raise a ValueError when no answer could ever be a success."""
    if settings.success is not None and not any(200 <= code <= 599 for code in settings.success):
        raise ValueError("no status code from 200 to 599, so nothing could ever be delivered")


def _signing(settings: WebhookTarget) -> Iterator[Check]:
    """Each option by itself, so that the one that is wrong is named, then all together."""
    options, fields = settings.signature, Signature.model_fields
    chosen = [name for name, field in fields.items() if getattr(options, name) != field.default]
    alone = {name: Signature().model_copy(update={name: getattr(options, name)}) for name in chosen}
    yield "target.secrets", lambda: _check_secrets(settings)
    for name, option in alone.items():
        yield f"target.signature.{name}", partial(_check_options, settings, option)
    if all(_work(settings, option) for option in alone.values()):
        yield "target.signature", lambda: _check_options(settings, options)


def _check_secrets(settings: WebhookTarget) -> None:
    secrets = [secret.get_secret_value() for secret in settings.secrets]
    signer(settings.profile, secrets, Signature())
    taken = names(settings.profile, Signature(), secrets=bool(secrets))
    if settings.auth is not None and "authorization" in taken:
        raise ValueError("the secret and `auth` both make the header Authorization: give one of them")


def _check_options(settings: WebhookTarget, options: Signature) -> None:
    """With a secret that every profile takes which has options: what is wrong is not the secret."""
    if options == Signature():
        return
    signer(settings.profile, ["secret"], options)
    if settings.auth is not None and "authorization" in names(settings.profile, options):
        raise ValueError("the signature and `auth` cannot both be the header Authorization")


def _work(settings: WebhookTarget, options: Signature) -> bool:
    try:
        _check_options(settings, options)
    except ValueError:
        return False
    return True


def _check_address(text: str, gate: AddressGate) -> None:
    if reason := literal_refusal(gate, URL(text).raw_host or ""):
        raise ValueError(f"{reason}; add its network there if that is where it shall go")
