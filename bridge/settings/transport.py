"""How broker and database are reached: TLS, and who the bridge says that it is."""

from typing import Literal

from pydantic import Field, SecretStr, model_validator

from bridge.model.strict import Strict


class ServerTls(Strict):
    """How a server's certificate is checked and which one is shown to it. Files are read anew for each connection."""

    ca: str | None = None
    """File with the certificates to trust, PEM; default: what the system trusts."""
    cert: str | None = None
    """File with the certificate to show to the server, PEM."""
    key: str | None = None
    """File with the private key of `cert`, PEM, without a passphrase; default: it stands in `cert`, too."""
    verify: bool = True
    """false: any certificate is taken, so anybody in between can read and change everything."""

    @model_validator(mode="after")
    def _key_and_certificate(self) -> "ServerTls":
        if self.key is not None and self.cert is None:
            raise ValueError("`key` needs `cert`")
        return self


BrokerAuth = Literal["plain", "external", "oauth2"]


class BrokerOAuth2(Strict):
    """Where a broker's access tokens come from, by client credentials. A token stands for the password."""

    token_url: str = Field(min_length=1, max_length=2048)
    """Token endpoint, http:// or https://; it may have a private address."""
    client_id: str = Field(min_length=1, max_length=1000)
    """Client id."""
    client_secret: SecretStr = SecretStr("")
    """Client secret; empty where `tls.cert` says who asks."""
    scope: str = Field(default="", max_length=4096)
    """Scopes, separated by spaces; default: what the server grants by itself."""
    audience: str = Field(default="", max_length=1000)
    """Audience, where the server wants one; RabbitMQ compares it with its `resource_server_id`."""
    client_auth: Literal["basic", "body"] = "basic"
    """Where client id and secret stand: in the header `Authorization`, or in the form."""
    tls: ServerTls = ServerTls()
    """TLS to the token endpoint."""


class StorageTls(ServerTls):
    """TLS to PostgreSQL."""

    mode: Literal["auto", "require", "off"] = "auto"
    """auto: TLS where the server offers it, and required where `ca` or `cert` is set; require: TLS or no connection;
    off: no TLS. On a loopback address auto takes any certificate, unless `verify: true` is written. `sslmode` in
    `storage.url` decides instead, as libpq understands it."""
