"""Which rule decides: truth tables over first match, Azure's six default rules and tags; and a second evaluator that agrees."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import clouds

from ringfence.model import errors
from ringfence.model.network import Access, Direction, Protocol, SecurityRule
from ringfence.policy import rules
from ringfence.policy.rules import Packet

SPACE = (IPv4Network("10.1.0.0/16"),)
VNET, OTHER, PUBLIC, PROBE = "10.1.0.9", "10.2.0.9", "198.19.255.4", "168.63.129.16"


def group(*bodies: dict[str, object]) -> rules.Rules:
    """The effective rules of a group with these rules, named r0, r1, …"""
    path = clouds.nsg_path("nsg")
    return rules.effective([clouds.resource(f"{path}/securityRules/r{n}", b, None) for n, b in enumerate(bodies)], SPACE)


def packet(
    source: str, destination: str = VNET, port: int = 80, protocol: Protocol = Protocol.TCP, source_port: int = 40_000
) -> Packet:
    return Packet(IPv4Address(source), IPv4Address(destination), protocol, source_port, port)


def decided(found: rules.Rules, asked: Packet, direction: Direction = Direction.INBOUND) -> str:
    decision = rules.decide(found.inbound if direction is Direction.INBOUND else found.outbound, asked)
    return f"{'allow' if decision.allow else 'deny'} {decision.rule.name if decision.rule else '-'}"


# The six default rules, and nothing else.
@pytest.mark.parametrize(
    ("direction", "source", "destination", "expected"),
    [
        ("Inbound", VNET, "10.1.7.7", "allow AllowVnetInBound"),
        ("Inbound", PROBE, "10.1.7.7", "allow AllowVnetInBound"),
        ("Inbound", PROBE, "198.19.0.9", "allow AllowAzureLoadBalancerInBound"),
        ("Inbound", PUBLIC, "10.1.7.7", "deny DenyAllInBound"),
        ("Inbound", OTHER, "10.1.7.7", "deny DenyAllInBound"),
        ("Inbound", VNET, "198.19.0.9", "deny DenyAllInBound"),
        ("Outbound", VNET, "10.1.7.7", "allow AllowVnetOutBound"),
        ("Outbound", VNET, PUBLIC, "allow AllowInternetOutBound"),
        ("Outbound", VNET, OTHER, "allow AllowInternetOutBound"),
        ("Outbound", OTHER, "10.1.7.7", "deny DenyAllOutBound"),
    ],
)
@pytest.mark.parametrize("protocol", list(Protocol)[:-1])
def test_default_rules(direction: str, source: str, destination: str, expected: str, protocol: Protocol) -> None:
    assert decided(group(), packet(source, destination, protocol=protocol), Direction(direction)) == expected


# One rule (what it says) and one packet; each row also with the same rule as Deny.
ROWS = [
    # sourceAddressPrefix
    ({"sourceAddressPrefix": "198.19.255.4"}, packet(PUBLIC), True),
    ({"sourceAddressPrefix": "198.19.255.5"}, packet(PUBLIC), False),
    ({"sourceAddressPrefix": "198.19.0.0/16"}, packet(PUBLIC), True),
    ({"sourceAddressPrefix": "*"}, packet(PUBLIC), True),
    ({"sourceAddressPrefix": "0.0.0.0/0"}, packet(PUBLIC), True),
    ({"sourceAddressPrefix": None, "sourceAddressPrefixes": ["10.9.0.0/16", "198.19.255.0/24"]}, packet(PUBLIC), True),
    ({"sourceAddressPrefix": None, "sourceAddressPrefixes": ["10.9.0.0/16", "198.19.254.0/24"]}, packet(PUBLIC), False),
    # tags
    ({"sourceAddressPrefix": "Internet"}, packet(PUBLIC), True),
    ({"sourceAddressPrefix": "internet"}, packet(OTHER), True),
    ({"sourceAddressPrefix": "Internet"}, packet(VNET), False),
    ({"sourceAddressPrefix": "Internet"}, packet(PROBE), False),
    ({"sourceAddressPrefix": "VirtualNetwork"}, packet("10.1.255.255"), True),
    ({"sourceAddressPrefix": "VirtualNetwork"}, packet("10.2.0.0"), False),
    ({"sourceAddressPrefix": "AzureLoadBalancer"}, packet(PROBE), True),
    ({"sourceAddressPrefix": "AzureLoadBalancer"}, packet("168.63.129.17"), False),
    ({"sourceAddressPrefix": "Storage"}, packet("198.18.2.1"), True),
    ({"sourceAddressPrefix": "Storage.EastUS2"}, packet("198.18.2.1"), True),
    ({"sourceAddressPrefix": "Storage.westeurope"}, packet("198.18.2.1"), False),
    ({"sourceAddressPrefix": "AzureCloud.eastus2"}, packet("198.18.2.200"), True),
    # ports
    ({"destinationPortRange": "80"}, packet(PUBLIC), True),
    ({"destinationPortRange": "81"}, packet(PUBLIC), False),
    ({"destinationPortRange": "79-81"}, packet(PUBLIC), True),
    ({"destinationPortRange": "81-90"}, packet(PUBLIC), False),
    ({"destinationPortRange": None, "destinationPortRanges": ["22", "80-81"]}, packet(PUBLIC), True),
    ({"destinationPortRange": "0-65535"}, packet(PUBLIC, protocol=Protocol.ICMP), True),
    ({"sourcePortRange": "40000"}, packet(PUBLIC), True),
    ({"sourcePortRange": "40001"}, packet(PUBLIC), False),
    # protocols; `*` with ports means TCP and UDP on them
    ({"protocol": "Tcp"}, packet(PUBLIC), True),
    ({"protocol": "Udp"}, packet(PUBLIC), False),
    ({"protocol": "Udp"}, packet(PUBLIC, protocol=Protocol.UDP), True),
    ({"protocol": "Icmp"}, packet(PUBLIC, protocol=Protocol.ICMP), True),
    ({"protocol": "*"}, packet(PUBLIC, protocol=Protocol.ESP), True),
    ({"protocol": "*", "destinationPortRange": "80"}, packet(PUBLIC, protocol=Protocol.UDP), True),
    ({"protocol": "*", "destinationPortRange": "80"}, packet(PUBLIC, protocol=Protocol.ICMP), False),
    # direction
    ({"direction": "Outbound"}, packet(PUBLIC), False),
    # destination: the frontend's address, as a floating load balancer shows it
    ({"destinationAddressPrefix": "198.19.0.6"}, packet(PUBLIC, "198.19.0.6"), True),
    ({"destinationAddressPrefix": "198.19.0.6"}, packet(PUBLIC, "198.19.0.7"), False),
]


@pytest.mark.parametrize(("says", "asked", "matches"), ROWS)
@pytest.mark.parametrize("access", list(Access))
def test_one_rule(says: dict[str, object], asked: Packet, matches: bool, access: Access) -> None:
    found = group(clouds.rule(4096, access.value) | says)
    got = decided(found, asked)
    assert got.endswith(" r0") is matches
    if matches:
        assert got == f"{access.value.lower()} r0"


def test_the_lowest_priority_number_decides_whatever_the_order_of_writing() -> None:
    deny, allow = clouds.rule(200, "Deny"), clouds.rule(100)
    assert decided(group(deny, allow), packet(PUBLIC)) == "allow r1"
    assert decided(group(allow, deny), packet(PUBLIC)) == "allow r0"


def test_a_deny_all_before_the_default_rules_stops_probes_too() -> None:
    assert decided(group(clouds.rule(4096, "Deny")), packet(PROBE)) == "deny r0"


def test_nothing_matches_means_nothing_passes() -> None:
    assert rules.decide((), packet(VNET)) == rules.Decision(None, False)


@pytest.mark.parametrize(
    "text",
    ["any", "Storrage", "Storage.nowhere", "AzureActiveDirectory.eastus", "10.0.0.1/8", "10.0.0", "10.0.0.0/33", "::/0", ""],
)
def test_what_is_neither_prefix_nor_tag_is_an_error(text: str) -> None:
    with pytest.raises(errors.Invalid) as refusal:
        rules.prefixes((text,), SPACE)
    assert refusal.value.code == "SecurityRuleInvalidAddressPrefix"


@pytest.mark.parametrize("tag", ["AzurePlatformDNS", "azureplatformimds", "AzurePlatformLKM"])
def test_tags_of_the_platform_are_refused(tag: str) -> None:
    with pytest.raises(errors.Unsupported):
        rules.prefixes((tag,), SPACE)


@pytest.mark.parametrize("text", ["any", "-1", "65536", "80-", "-80", "90-80", "8 0", "٣", "1-2-3"])
def test_ports_that_are_none(text: str) -> None:
    with pytest.raises(errors.Invalid) as refusal:
        rules.ports((text,))
    assert refusal.value.code == "SecurityRuleInvalidPortRange"


# A second evaluator, written from the documentation on raw rules: no prefix lists, no complements, integers only.
_TAGS = ("VirtualNetwork", "AzureLoadBalancer", "Internet", "*")


def _address(text: str, address: int) -> bool:
    inside = address >> 16 == (10 << 8) + 1
    probe = address == 0xA83F8110
    match text:
        case "*":
            return True
        case "VirtualNetwork":
            return inside or probe
        case "AzureLoadBalancer":
            return probe
        case "Internet":
            return not inside and not probe
    base, _, length = text.partition("/")
    a, b, c, d = map(int, base.split("."))
    shift = 32 - int(length or 32)
    return address >> shift == ((a << 24) + (b << 16) + (c << 8) + d) >> shift


def _port(text: str, port: int) -> bool:
    low, _, high = text.partition("-")
    return text == "*" or int(low) <= port <= int(high or low)


def _raw(written: list[SecurityRule], asked: Packet, direction: Direction) -> bool:
    source, destination = int(asked.source), int(asked.destination)
    for one in sorted((r for r in written if r.direction is direction), key=lambda r: r.priority):
        narrow = one.source_port_range != "*" or one.destination_port_range != "*"
        with_ports = asked.protocol in (Protocol.TCP, Protocol.UDP)
        if one.protocol not in (Protocol.ANY, asked.protocol) or (narrow and not with_ports):
            continue
        ports = not narrow or (
            _port(str(one.source_port_range), asked.source_port)
            and _port(str(one.destination_port_range), asked.destination_port)
        )
        if (
            ports
            and _address(str(one.source_address_prefix), source)
            and _address(str(one.destination_address_prefix), destination)
        ):
            return one.access is Access.ALLOW
    if direction is Direction.INBOUND:
        vnet = _address("VirtualNetwork", source) and _address("VirtualNetwork", destination)
        return vnet or _address("AzureLoadBalancer", source)
    vnet = _address("VirtualNetwork", source) and _address("VirtualNetwork", destination)
    return vnet or _address("Internet", destination)


_ADDRESSES = st.one_of(
    st.sampled_from(
        [
            VNET,
            "10.1.0.0",
            "10.1.255.255",
            "10.0.255.255",
            "10.2.0.0",
            PUBLIC,
            PROBE,
            "168.63.129.15",
            "0.0.0.0",
            "255.255.255.255",
        ]
    ),
    st.integers(0, 2**32 - 1).map(lambda n: str(IPv4Address(n))),
)
_PREFIXES = st.one_of(
    st.sampled_from(_TAGS),
    st.tuples(_ADDRESSES, st.integers(1, 32)).map(lambda pair: str(IPv4Network(pair, strict=False))),
)
_PORTS = st.sampled_from(["*", "0", "80", "65535", "79-81", "1024-65535", "0-79", "40000"])


@st.composite
def _packets(draw: st.DrawFn) -> Packet:
    number = st.sampled_from([0, 79, 80, 81, 82, 1023, 1024, 40_000, 65_535])
    protocol = draw(st.sampled_from(list(Protocol)[:-1]))
    return Packet(IPv4Address(draw(_ADDRESSES)), IPv4Address(draw(_ADDRESSES)), protocol, draw(number), draw(number))


@st.composite
def _rules(draw: st.DrawFn) -> list[SecurityRule]:
    priorities = draw(st.lists(st.integers(100, 4096), max_size=6, unique=True))
    found = []
    for priority in priorities:
        protocol = draw(st.sampled_from(list(Protocol)))
        ports = ("*", "*") if protocol in (Protocol.ICMP, Protocol.ESP, Protocol.AH) else (draw(_PORTS), draw(_PORTS))
        body = {
            "priority": priority,
            "access": draw(st.sampled_from(["Allow", "Deny"])),
            "direction": draw(st.sampled_from(["Inbound", "Outbound"])),
            "protocol": protocol.value,
            "sourceAddressPrefix": draw(_PREFIXES),
            "sourcePortRange": ports[0],
            "destinationAddressPrefix": draw(_PREFIXES),
            "destinationPortRange": ports[1],
        }
        found.append(SecurityRule.model_validate(body))
    return found


@settings(max_examples=400, deadline=None)
@given(_rules(), _packets(), st.sampled_from(list(Direction)))
def test_prefixes_decide_as_the_words_of_the_rules_do(written: list[SecurityRule], asked: Packet, direction: Direction) -> None:
    bodies = [one.model_dump(by_alias=True, exclude_none=True, mode="json") for one in written]
    found = group(*bodies)
    ordered = found.inbound if direction is Direction.INBOUND else found.outbound
    assert rules.decide(ordered, asked).allow is _raw(written, asked, direction)
