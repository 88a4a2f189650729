"""What is opened, sealed and signed with the keys of the settings."""

import structlog

from bridge.rules.wire.authenticity import MessageKeys
from bridge.settings.tree import Settings
from bridge.storage.engines.engine import Engine
from bridge.storage.hooks import SqlHooks
from bridge.storage.message_keys import stored_key
from bridge.storage.sealing import Sealer

log = structlog.get_logger(__name__)


async def open_hook_store(settings: Settings, engine: Engine) -> SqlHooks:
    """The hooks in the history's database, all of them sealed with the newest key by now whose
    key is given. Raises HistoryUnavailable.
    """
    keys = [key.get_secret_value() for key in settings.storage.encryption_keys]
    token = settings.http.admin_token
    # The token goes on opening what it sealed before there were keys.
    store = SqlHooks(engine, Sealer([*keys, *([] if token is None else [token.get_secret_value()])]))
    if anew := await store.reseal():
        log.info("hooks.resealed", hooks=anew)
    if not keys and token is not None and (await store.stored_hooks()).hooks:
        log.warning(
            "hooks.sealed_with_admin_token",
            advice="set storage.encryption_keys: until then http.admin_token is the key of the secrets of hooks made "
            "through the API, and cannot be changed without losing them",
        )
    return store


async def message_keys(settings: Settings, engine: Engine) -> MessageKeys:
    """The keys that prove which messages are the bridge's own: of the settings, else one that the history keeps.

    The history's key still verifies after keys were added to the settings. Raises HistoryUnavailable.
    """
    secrets = [key.get_secret_value().encode() for key in settings.storage.encryption_keys]
    kept = await stored_key(engine, make=not secrets)
    return MessageKeys.derived_from(secrets if kept is None else [*secrets, kept])
