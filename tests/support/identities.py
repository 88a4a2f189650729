"""A broker that knows who connects by certificate or by signed token, and the means to be known or unknown to it."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from devtools.nodes.ports import free_ports
from devtools.rabbitmq import RabbitMQNode
from tests.support.certificates import Authority, Files

_PLUGINS = ("rabbitmq_auth_backend_oauth2", "rabbitmq_auth_mechanism_ssl")
_EVERYTHING = ["rabbitmq.configure:*/*", "rabbitmq.read:*/*", "rabbitmq.write:*/*"]


class Signer:
    """Signs access tokens with a key of its own."""

    def __init__(self, folder: Path) -> None:
        self._key = rsa.generate_private_key(65_537, 2048)
        self.file = folder / "signer.pem"
        self.file.write_bytes(
            self._key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def token(self, life: float, **claims: Any) -> str:
        """A token that the broker takes for about `life` seconds."""
        head = {"alg": "RS256", "kid": "key-1", "typ": "JWT"}
        body = {
            "aud": "rabbitmq",
            "sub": "bridge",
            "scope": _EVERYTHING,
            "exp": int(time.time() + life),
            **claims,
        }
        signed = f"{_text(json.dumps(head).encode())}.{_text(json.dumps(body).encode())}"
        return f"{signed}.{_text(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@dataclass(frozen=True)
class Guarded:
    """A node that asks everybody for a certificate on its TLS port, and takes tokens on the other one."""

    node: RabbitMQNode
    tls_port: int
    folder: Path
    authority: Authority
    signer: Signer

    def tls(self, files: Files | None) -> dict[str, str]:
        """Settings `tls` of a client that shows this certificate."""
        shown = {} if files is None else {"cert": str(files.cert), "key": str(files.key)}
        return {"ca": str(self.authority.file), **shown}

    def url(self, host: str = "127.0.0.1") -> str:
        """The address of its TLS port, without user and password."""
        return f"amqps://{host}:{self.tls_port}/"

    def known(self, *names: str) -> None:
        """Make users whom a certificate with that common name stands for."""
        for name in names:
            self.node.rabbitmqctl("add_user", name, "secret")
            self.node.rabbitmqctl("set_permissions", name, ".*", ".*", ".*")


@contextmanager
def guarded_broker(folder: Path) -> Iterator[Guarded]:
    """A node like this, with certificates in this folder."""
    authority, signer = Authority(folder, "authority"), Signer(folder)
    server = authority.issue("broker")
    (port,) = free_ports(1)
    config = [
        f"listeners.ssl.1 = 127.0.0.1:{port}",
        f"ssl_options.cacertfile = {authority.file}",
        f"ssl_options.certfile = {server.cert}",
        f"ssl_options.keyfile = {server.key}",
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true",
        "ssl_cert_login_from = common_name",
        "auth_mechanisms.1 = PLAIN",
        "auth_mechanisms.2 = EXTERNAL",
        "auth_backends.1 = rabbit_auth_backend_oauth2",
        "auth_backends.2 = internal",
        "auth_oauth2.resource_server_id = rabbitmq",
        f"auth_oauth2.signing_keys.key-1 = {signer.file}",
        "auth_oauth2.default_key = key-1",
    ]
    with RabbitMQNode.start(plugins=_PLUGINS, config=config) as node:
        yield Guarded(node, port, folder, authority, signer)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
