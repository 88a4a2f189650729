from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.address_gate import AddressGate, parse_network

CLOSED = AddressGate([])

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.1.2.3",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:10.0.0.1",
    "::ffff:0.0.0.0",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "64:ff9b:1:ffff::808:808",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd12:3456:789a::1",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::5efe:7f00:1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2a00:1450:4001::5efe:7f00:1",
    "2a00:1450:4001::200:5efe:808:808",
    "1::1",
    "4000::1",
    "8000::1",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
]

ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "2001:4860:4860::8888",
    "2001:200::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_global_is_refused(address):
    refusal = CLOSED.refusal(address)
    assert refusal is not None
    assert address in refusal


@pytest.mark.parametrize("address", ALLOWED)
def test_a_global_address_may_be_dialled(address):
    assert CLOSED.refusal(address) is None


@given(st.ip_addresses(v=4))
def test_every_spelling_of_an_ipv4_address_is_judged_alike(address):
    number = int(address)
    plain = CLOSED.refusal(str(address)) is None
    assert (CLOSED.refusal(f"::ffff:{address}") is None) == plain
    assert (CLOSED.refusal(str(IPv6Address((0x64FF9B << 96) | number))) is None) == plain
    for outdated in (number, (0x2002 << 112) | (number << 80), (0x20010000 << 96) | (number ^ 0xFFFFFFFF)):
        assert CLOSED.refusal(str(IPv6Address(outdated))) is not None
    for isatap in (0x5EFE, 0x2005EFE):
        assert CLOSED.refusal(str(IPv6Address((0x2A00 << 112) | (isatap << 32) | number))) is not None


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_gets_through(address):
    if isinstance(address, IPv6Address) and (address.ipv4_mapped or str(address).startswith("64:ff9b:")):
        return
    if address.is_private or address.is_multicast or address.is_reserved or address.is_link_local:
        assert CLOSED.refusal(str(address)) is not None


@given(st.ip_addresses())
def test_an_allowed_network_opens_itself_and_nothing_else(address):
    gate = AddressGate(["10.0.0.0/8", "fd00::/8"])
    allowed = (
        address in parse_network("10.0.0.0/8")
        if isinstance(address, IPv4Address)
        else address in parse_network("fd00::/8")
    )
    assert (gate.refusal(str(address)) is None) == (allowed or CLOSED.refusal(str(address)) is None)


def test_an_allowed_ipv4_network_covers_the_ways_to_write_it_as_ipv6():
    gate = AddressGate(["127.0.0.0/8"])
    assert gate.refusal("127.0.0.1") is None
    assert gate.refusal("::ffff:127.0.0.1") is None
    assert gate.refusal("::1") is not None
    assert gate.refusal("10.0.0.1") is not None


def test_the_refusal_says_what_the_address_is_and_where_to_allow_it():
    assert CLOSED.refusal("169.254.169.254") == (
        "169.254.169.254 is link-local, which is where cloud metadata lives; not in http.allow_private_targets"
    )


@given(st.text())
def test_what_is_no_address_is_refused_and_never_raises(text):
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        assert CLOSED.refusal(text) is not None


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "localhost", "10.0.0.0/8 "[:3]])
def test_an_allow_list_entry_that_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match="no network"):
        AddressGate([text])


@given(st.ip_addresses(), st.sampled_from(["10.0.0.0/8", "fd00::/8", "127.0.0.1"]))
def test_a_gate_that_opens_a_network_too_opens_that_one_alone(address, network):
    opened = AddressGate(["192.168.0.0/16"]).also([network])
    own = AddressGate([network])
    before = AddressGate(["192.168.0.0/16"])
    either = own.refusal(str(address)) is None or before.refusal(str(address)) is None
    assert (opened.refusal(str(address)) is None) == either
    assert before.also([]) is before


def test_a_gate_covers_parts_of_what_it_opens_and_no_more():
    gate = AddressGate(["10.0.0.0/8", "fd00::/8"])
    assert all(map(gate.covers, ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "fd12::/32"]))
    assert not any(map(gate.covers, ["10.0.0.0/7", "0.0.0.0/0", "::/0", "fc00::/7", "::ffff:10.0.0.0/104"]))


def test_gates_that_open_the_same_networks_are_equal():
    assert AddressGate(["10.0.0.0/8", "fd00::/8"]) == AddressGate(["fd00::/8", "10.0.0.0/8"])
    assert len({AddressGate(["10.0.0.0/8"]), AddressGate(["10.0.0.0/8"]), CLOSED}) == 2


def test_a_single_address_is_a_network():
    assert AddressGate(["192.168.1.7"]).refusal("192.168.1.7") is None
    assert AddressGate(["192.168.1.7"]).refusal("192.168.1.8") is not None
