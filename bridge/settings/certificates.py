"""TLS contexts from the files that settings name."""

import ssl
from functools import cache

from bridge.settings.transport import ServerTls


def tls_context(tls: ServerTls, *, names: bool = True) -> ssl.SSLContext:
    """A client's TLS with these settings, from the files as they are now; to be changed by nobody.

    `names` False: a certificate may be for any name, as long as an authority that is trusted gave it.

    Raises ValueError with the setting and the file that cannot be used.
    """
    if tls.ca is None and tls.cert is None and tls.verify and names:
        return _trusting_the_system()
    context = ssl.create_default_context() if tls.ca is None else _authorities(tls.ca)
    if tls.cert is not None:
        _load(context, tls.cert, tls.key)
    if not (tls.verify and names):
        context.check_hostname = False
    if not tls.verify:
        context.verify_mode = ssl.CERT_NONE
    return context


@cache
def _trusting_the_system() -> ssl.SSLContext:
    """Made once: to read what the system trusts takes 25 ms, and it is no file of ours that is exchanged."""
    return ssl.create_default_context()


def _load(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    try:
        context.load_cert_chain(cert, key, password=no_password)
    except (OSError, ValueError) as error:
        # OpenSSL does not say which of the two files is not there.
        files = cert + (f" with {key}" if key else "")
        raise ValueError(f"cert {files}: {_why(error)}") from error


def _authorities(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as error:
        raise ValueError(f"ca {ca}: {_why(error)}") from error


def no_password() -> str:
    """What is asked for an encrypted key; raises ValueError."""
    # Without this, OpenSSL would ask for it on the terminal and wait.
    raise ValueError("the private key is encrypted; give one without a passphrase")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable PEM ({error.reason or error})"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
