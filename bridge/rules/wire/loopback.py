"""Which hosts of addresses are this machine itself."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether what goes to this host never leaves the machine: nobody can read it on its way."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
