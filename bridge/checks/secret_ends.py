"""Secrets with a blank or a line break at an end: a file's or variable's own, which hardly anybody means."""

from collections.abc import Iterable, Iterator

from pydantic import SecretStr

from bridge.core.errors import Problem
from bridge.core.hook import Hook
from bridge.core.inlet import Inlet
from bridge.core.target import Auth, WebhookTarget
from bridge.settings.tree import Settings

_WITHOUT_BLANKS = frozenset({"standard", "token", "gitlab"})
"""Profiles and types whose secrets are base64 or stand in a header: no blank at an end can be part of them."""
_AT_AN_END = "has a blank or a line break at an end"
_LEFT_OUT = f"{_AT_AN_END}, which is left out: it can be no part of it"
_TAKEN = f"{_AT_AN_END}, which is taken for a part of it; write it without, if that is not meant"

Found = tuple[str, str, bool]
"""Where a secret stands, the secret, and whether a blank at an end can be no part of it."""


def secret_ends(settings: Settings) -> Iterator[Problem]:
    """Warnings by path; none shows anything of a secret."""
    yield from _told(_all(settings))


def _told(found: Iterable[Found]) -> Iterator[Problem]:
    for path, secret, cannot in found:
        if secret != secret.strip():
            yield Problem(path, _LEFT_OUT if cannot else _TAKEN)


def secret_ends_of(hook: Hook) -> Iterator[Problem]:
    """The same of one hook, whoever made it."""
    yield from _told(_of_hook("target", hook))


def _all(settings: Settings) -> Iterator[Found]:
    token = settings.http.admin_token
    if token is not None:
        yield "http.admin_token", token.get_secret_value(), True
    yield from _list("storage.encryption_keys", settings.storage.encryption_keys, cannot=False)
    for index, hook in enumerate(settings.hooks):
        if hook.fault is None:
            yield from _of_hook(f"hooks[{index}].target", hook)
    for index, inlet in enumerate(settings.inlets):
        yield from _of_inlet(f"inlets[{index}]", inlet)
    others = ((f"brokers.{name}", broker.oauth2) for name, broker in settings.brokers.items())
    for path, oauth2 in (("broker", settings.broker.oauth2), *others):
        if oauth2 is not None:
            yield f"{path}.oauth2.client_secret", oauth2.client_secret.get_secret_value(), False


def _of_hook(path: str, hook: Hook) -> Iterator[Found]:
    target = hook.target
    if not isinstance(target, WebhookTarget):
        return
    yield from _list(f"{path}.secrets", target.secrets, cannot=target.profile in _WITHOUT_BLANKS)
    for name, text in target.headers.items():
        yield f"{path}.headers.{name}", text, True
    if target.auth is not None:
        yield from _of_auth(f"{path}.auth", target.auth)


def _of_auth(path: str, auth: Auth) -> Iterator[Found]:
    yield f"{path}.token", auth.token.get_secret_value(), True
    yield f"{path}.password", auth.password.get_secret_value(), False
    yield f"{path}.client_secret", auth.client_secret.get_secret_value(), False


def _of_inlet(path: str, inlet: Inlet) -> Iterator[Found]:
    for index, each in enumerate(inlet.verify):
        where, cannot = f"{path}.verify[{index}]", each.type in _WITHOUT_BLANKS
        if each.secret is not None:
            yield f"{where}.secret", each.secret.get_secret_value(), cannot
        yield from _list(f"{where}.secrets", each.secrets, cannot=cannot)
    for index, handshake in enumerate(inlet.handshakes):
        if handshake.token is not None:
            yield f"{path}.handshakes[{index}].token", handshake.token.get_secret_value(), False


def _list(path: str, secrets: Iterable[SecretStr], *, cannot: bool) -> Iterator[Found]:
    for index, secret in enumerate(secrets):
        yield f"{path}[{index}]", secret.get_secret_value(), cannot
