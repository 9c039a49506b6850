"""What the rules of a network security group mean in one virtual network, and which of them decides a packet.

The rules a user wrote are brought to prefixes and port ranges, Azure's six default rules
are added, and the first match in order of priority decides (RULES.md section 2). Rules are
stateful in the kernel; here is the decision about a connection's first packet. An absent
group allows; that is the caller's case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from ringfence.model import errors, network
from ringfence.model.network import Access, Direction, Protocol, SecurityRule
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import tags

Ports = tuple[tuple[int, int], ...]
Prefixes = tuple[IPv4Network, ...]

_WITH_PORTS = (Protocol.TCP, Protocol.UDP)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRule:
    """A rule in prefixes and inclusive port ranges. Empty means any; protocol ANY with ports means TCP and UDP on them."""

    name: str
    priority: int
    protocol: Protocol
    sources: Prefixes = ()
    source_ports: Ports = ()
    destinations: Prefixes = ()
    destination_ports: Ports = ()
    allow: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """A group's effective rules, each direction in order of priority, default rules last."""

    inbound: tuple[EffectiveRule, ...]
    outbound: tuple[EffectiveRule, ...]


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection. Ports count for TCP and UDP."""

    source: IPv4Address
    destination: IPv4Address
    protocol: Protocol = Protocol.TCP
    source_port: int = 40_000
    destination_port: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """allow: what `rule` says. rule None: no rule matched, so nothing passes."""

    rule: EffectiveRule | None = None
    allow: bool = False


def effective(children: Iterable[Resource], space: Iterable[IPv4Network]) -> Rules:
    """The rules of a group, given as its children, in a network with this address space. Raises as `tags.resolve`."""
    inside = tuple(sorted(space))
    written = [
        (child.id.name, child.properties)
        for child in children
        if child.type == network.SECURITY_RULE and child.state is not ProvisioningState.DELETING
    ]
    own = [(one, translate(name, one, inside)) for name, one in written if isinstance(one, SecurityRule)]
    defaults = default_rules(inside)
    found = []
    for direction, last in ((Direction.INBOUND, defaults.inbound), (Direction.OUTBOUND, defaults.outbound)):
        mine = [meant for one, meant in own if one.direction is direction]
        found.append((*sorted(mine, key=lambda meant: meant.priority), *last))
    return Rules(*found)


@lru_cache(maxsize=16_384)
def translate(name: str, written: SecurityRule, space: tuple[IPv4Network, ...]) -> EffectiveRule:
    """One written rule in prefixes. Raises Invalid with Azure's code for what is neither a prefix nor a known tag."""
    return EffectiveRule(
        name=name,
        priority=written.priority,
        protocol=written.protocol,
        sources=prefixes(written.sources, space),
        source_ports=ports(written.source_ports),
        destinations=prefixes(written.destinations, space),
        destination_ports=ports(written.destination_ports),
        allow=written.access is Access.ALLOW,
    )


def prefixes(given: Iterable[str], space: tuple[IPv4Network, ...]) -> Prefixes:
    """Prefixes, addresses and tags as prefixes; () when one of them is `*` or 0.0.0.0/0."""
    found: list[IPv4Network] = []
    for text in given:
        if text in ("*", "0.0.0.0/0"):
            return ()
        found += tags.resolve(text, space) if tags.is_tag(text) else (_prefix(text),)
    return tuple(sorted(set(found)))


def _prefix(text: str) -> IPv4Network:
    """An address, or a network without host bits whose length is a number."""
    _, slash, length = text.partition("/")
    try:
        if slash and not (length.isascii() and length.isdigit() and length == str(int(length))):
            raise NetmaskValueError(length)
        return IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        message = f"Security rule has invalid Address prefix. Value provided: {text[:100]}"
        raise errors.Invalid("SecurityRuleInvalidAddressPrefix", message) from error


def ports(given: Iterable[str]) -> Ports:
    """`80`, `8000-8999` and `*` as ranges; () when one of them is `*`."""
    found = []
    for text in given:
        if text == "*":
            return ()
        first, dash, last = text.partition("-")
        pair = (_port(first, text), _port(last if dash else first, text))
        if pair[0] > pair[1]:
            raise _bad_port(text)
        found.append(pair)
    return () if (0, 65535) in found else tuple(sorted(found))


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise _bad_port(whole)
    return int(text)


def _bad_port(text: str) -> errors.Invalid:
    return errors.Invalid(
        "SecurityRuleInvalidPortRange",
        f"Security rule has invalid Port range. Value provided: {text[:100]}. "
        "Value should be an integer OR integer range with '-' delimiter. Valid range 0-65535.",
    )


@lru_cache(maxsize=4096)
def default_rules(space: tuple[IPv4Network, ...]) -> Rules:
    """Azure's six (RULES.md section 2.7): they cannot be removed, only preceded."""
    inside, internet = tags.resolve("VirtualNetwork", space), tags.resolve("Internet", space)

    return Rules(
        inbound=(
            rule("AllowVnetInBound", 65000, sources=inside, destinations=inside),
            rule("AllowAzureLoadBalancerInBound", 65001, sources=(tags.PLATFORM,)),
            rule("DenyAllInBound", 65500, allow=False),
        ),
        outbound=(
            rule("AllowVnetOutBound", 65000, sources=inside, destinations=inside),
            rule("AllowInternetOutBound", 65001, destinations=internet),
            rule("DenyAllOutBound", 65500, allow=False),
        ),
    )


def rule(name: str, priority: int, *, sources: Prefixes = (), destinations: Prefixes = (), allow: bool = True) -> EffectiveRule:
    """A rule for every protocol and port."""
    return EffectiveRule(
        name=name, priority=priority, protocol=Protocol.ANY, sources=sources, destinations=destinations, allow=allow
    )


def decide(ordered: Iterable[EffectiveRule], packet: Packet) -> Decision:
    """The first rule that matches decides."""
    for candidate in ordered:
        if matches(candidate, packet):
            return Decision(candidate, candidate.allow)
    return Decision()


def matches(candidate: EffectiveRule, packet: Packet) -> bool:
    """Whether a rule speaks of this packet."""
    if candidate.protocol is not Protocol.ANY and candidate.protocol is not packet.protocol:
        return False
    if (candidate.source_ports or candidate.destination_ports) and packet.protocol not in _WITH_PORTS:
        return False
    return (
        _inside(packet.source, candidate.sources)
        and _inside(packet.destination, candidate.destinations)
        and _between(packet.source_port, candidate.source_ports)
        and _between(packet.destination_port, candidate.destination_ports)
    )


def _inside(address: IPv4Address, networks: Prefixes) -> bool:
    return not networks or any(address in network_ for network_ in networks)


def _between(port: int, ranges: Ports) -> bool:
    return not ranges or any(first <= port <= last for first, last in ranges)
