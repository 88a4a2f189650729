"""SSRF protection: the addresses that a target may connect to, and the allowlist of networks."""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

# From the IANA special-purpose address registries (2024), not from ipaddress.is_global, which differs between Python
# releases and treats multicast as global.
_REFUSED_4 = [
    (IPv4Network(network), why)
    for network, why in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud platform's own service"),
        ("169.254.0.0/16", "link-local, which is where cloud metadata lives"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
]
_REFUSED_6 = [
    (IPv6Network(network), why)
    for network, why in (
        ("::1/128", "loopback"),
        ("::/96", "unspecified or IPv4-compatible"),
        ("64:ff9b:1::/48", "a local translation to IPv4"),
        ("100::/64", "discarded"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
]
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class AddressGate:
    """The SSRF protection of targets: admits global addresses, and addresses of the allowlisted networks."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = tuple(parse_network(text) for text in allowed)

    def also(self, networks: Sequence[str]) -> "AddressGate":
        """Returns a gate that also allows these networks; itself if there are none. Raises ValueError."""
        return AddressGate([*map(str, self._allowed), *networks]) if networks else self

    def covers(self, network: str) -> bool:
        """Returns whether the allowlist covers every address of this network. Raises ValueError."""
        asked = parse_network(network)
        return any(_within(asked, allowed) for allowed in self._allowed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressGate) and set(self._allowed) == set(other._allowed)

    def __hash__(self) -> int:
        return hash(frozenset(self._allowed))

    def refusal(self, address: str) -> str | None:
        """Returns why a connection to this IP address is refused; None: it is admitted.

        IPv4 addresses embedded in IPv6 (mapped, NAT64) are checked as IPv4 addresses.
        """
        try:
            dialled = ip_address(address.partition("%")[0])
        except ValueError:
            return f"{address} is no IP address"
        meant = _meant(dialled)
        if any(dialled in network or meant in network for network in self._allowed):
            return None
        why = _why_refused(meant)
        return f"{address} is {why}; not in http.allow_private_targets" if why else None


def parse_network(text: str) -> Network:
    """Returns the network in CIDR notation such as `10.0.0.0/8`, or of one address. Raises ValueError."""
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no network: {error}; write for example 10.0.0.0/8") from None


def is_own_name(host: str) -> bool:
    """Returns whether a name resolves to the local machine by definition (RFC 6761, 6.3)."""
    return f".{host.lower().rstrip('.')}".endswith(".localhost")


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _meant(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else address


def _why_refused(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((why for network, why in _REFUSED_4 if address in network), None)
    if why := next((why for network, why in _REFUSED_6 if address in network), None):
        return why
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return "ISATAP"
    return None if address in _GLOBAL_UNICAST else "reserved"


# Loopback hosts.


def is_loopback(host: str) -> bool:
    """Returns whether the host is loopback, so that traffic to it never leaves the machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
