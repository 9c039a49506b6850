"""Whether a first packet gets from a place, or from the internet, to an address and port, and who decides that.

The same walk decides and explains: outbound rules of the interface and the subnet, the
route (in the network, to a peer, to a private endpoint), the load balancer, inbound rules
of the subnet and the interface. Return packets follow without rules. Whether anything
listens at the end is not asked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Network

from ringfence.model.network import Protocol
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import groups, peerings, places, private_link, rules, tags
from ringfence.policy.groups import Group
from ringfence.policy.places import Frontend, Place
from ringfence.policy.rules import Packet


class Verdict(Enum):
    """What becomes of the packet. The value 0 is what holds when nothing else was found."""

    DENIED = 0
    ALLOWED = 1
    DENIED_OUTBOUND = 2
    DENIED_INBOUND = 3
    NO_ROUTE = 4
    NOTHING_THERE = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One station. where: `outbound interface`, `route`, `inbound subnet`…; by: a group and rule, or the platform."""

    where: str
    by: str
    allow: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """The verdict and the stations that led to it, the deciding one last."""

    verdict: Verdict = Verdict.DENIED
    steps: tuple[Step, ...] = ()


def trace(
    snapshot: Snapshot,
    source: Place | None,
    destination: IPv4Address,
    port: int,
    protocol: Protocol = Protocol.TCP,
    source_port: int = 40_000,
) -> Trace:
    """From `source`, or from a host on the internet when it is None."""
    world = _World(snapshot)
    if source is None:
        packet = Packet(tags.INTERNET_HOST, destination, protocol, source_port, port)
        return world.from_internet(packet, ())
    packet = Packet(IPv4Address(source.address), destination, protocol, source_port, port)
    return world.from_place(source, packet)


def probe(snapshot: Snapshot, frontend: Frontend) -> Trace:
    """A health probe of a frontend's load balancer, from the platform to the first target."""
    world = _World(snapshot)
    target = IPv4Address(frontend.targets[0])
    return world.from_platform(frontend, Packet(tags.PLATFORM.network_address, target, Protocol.TCP, 40_000, frontend.port))


class _World:
    """A snapshot as a packet meets it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._places = places.places(snapshot)
        self._frontends = places.frontends(snapshot)

    def from_place(self, source: Place, packet: Packet) -> Trace:
        """Out of an interface. The platform's resolver is never filtered (RULES.md section 2.8)."""
        vnet = self._snapshot.need(source.vnet)
        space = groups.space_of(self._snapshot, vnet)
        if packet.destination in tags.PLATFORM:
            open_ = packet.destination_port == 53 and packet.protocol in (Protocol.TCP, Protocol.UDP)
            return _end(Verdict.ALLOWED if open_ else Verdict.NO_ROUTE, (), Step("route", "platform resolver", open_))
        on_interface, on_subnet = self._groups(source, space)
        steps, verdict = _judge("outbound", (("interface", on_interface), ("subnet", on_subnet)), packet, ())
        if verdict is not Verdict.ALLOWED:
            return Trace(verdict, steps)
        for near in (vnet, *peerings.open_to(self._snapshot, vnet.id)):
            if any(packet.destination in prefix for prefix in groups.own_space(near)):
                by = "virtual network" if near.key == vnet.key else f"peering with {near.id.name}"
                return self._inside(near, packet, (*steps, Step("route", by, True)))
        if not _public(packet.destination):
            return _end(Verdict.NO_ROUTE, steps, Step("route", "NoRoute", False))
        egress = self._snapshot.value(vnet.id, places.EGRESS)
        if egress is None:
            return _end(Verdict.NO_ROUTE, steps, Step("route", "no outbound address", False))
        outside = Packet(IPv4Address(egress), packet.destination, packet.protocol, packet.source_port, packet.destination_port)
        return self.from_internet(outside, (*steps, Step("route", f"outbound as {egress}", True)))

    def from_internet(self, packet: Packet, steps: tuple[Step, ...]) -> Trace:
        """At the edge, with a public source."""
        if not _public(packet.destination):
            return _end(Verdict.NO_ROUTE, steps, Step("route", "PrivateAddressFromInternet", False))
        if packet.destination in tags.AZURE:
            open_ = packet.protocol is Protocol.TCP and packet.destination_port == 443
            return _end(Verdict.ALLOWED if open_ else Verdict.NOTHING_THERE, steps, Step("route", "service", open_))
        frontend = self._frontend(packet, public=True)
        if frontend is not None:
            return self._balanced(frontend, packet, steps)
        if packet.destination == tags.INTERNET_HOST:
            return _end(Verdict.ALLOWED, steps, Step("route", "host on the internet", True))
        return _end(Verdict.NOTHING_THERE, steps, Step("route", "nobody has this address", False))

    def from_platform(self, frontend: Frontend, packet: Packet) -> Trace:
        """Straight to a target; its inbound rules judge it like anybody else's packet."""
        space = groups.space_of(self._snapshot, self._snapshot.need(frontend.vnet))
        for place in self._places:
            if place.vnet == frontend.vnet and place.address == str(packet.destination):
                return self._arrive(place, packet, (), space)
        return _end(Verdict.NOTHING_THERE, (), Step("route", "nobody has this address", False))

    def _inside(self, vnet: Resource, packet: Packet, steps: tuple[Step, ...]) -> Trace:
        """In the network that holds the destination: the source's own, or a peer."""
        space = groups.space_of(self._snapshot, vnet)
        frontend = self._frontend(packet, public=False)
        if frontend is not None and frontend.vnet == vnet.id:
            return self._balanced(frontend, packet, steps)
        for place in self._places:
            if place.vnet == vnet.id and place.address == str(packet.destination):
                return self._arrive(place, packet, steps, space)
        for endpoint in private_link.endpoints(self._snapshot):
            addresses = (address for _, address in private_link.inside(self._snapshot, endpoint))
            if private_link.network_of(endpoint) == vnet.id and str(packet.destination) in addresses:
                return self._through(endpoint, packet, steps, space)
        return _end(Verdict.NOTHING_THERE, steps, Step("route", "nobody has this address", False))

    def _through(self, endpoint: Resource, packet: Packet, steps: tuple[Step, ...], space: groups.Space) -> Trace:
        """A private endpoint: rules of its subnet where they hold, then its target's one port, while it is approved."""
        subnet = private_link.subnet_of(endpoint)
        if private_link.rules_hold(self._snapshot, subnet):
            guard = groups.on_subnet(self._snapshot, subnet, space)
            steps, verdict = _judge("inbound", (("subnet", guard),), packet, steps)
            if verdict is not Verdict.ALLOWED:
                return Trace(verdict, steps)
        state = private_link.state_of(self._snapshot, endpoint).status.value
        open_ = packet.protocol is Protocol.TCP and packet.destination_port == private_link.PORT
        if not (open_ and private_link.approved(self._snapshot, endpoint)):
            return _end(Verdict.NOTHING_THERE, steps, Step("private endpoint", f"{endpoint.id.name}: {state}", False))
        return _end(Verdict.ALLOWED, steps, Step("private endpoint", f"to {private_link.target_of(endpoint)}", True))

    def _frontend(self, packet: Packet, *, public: bool) -> Frontend | None:
        if packet.protocol is not Protocol.TCP:
            return None
        wanted = str(packet.destination), packet.destination_port
        matching = (f for f in self._frontends if f.public is public and (f.address, f.port) == wanted)
        return next(matching, None)

    def _balanced(self, frontend: Frontend, packet: Packet, steps: tuple[Step, ...]) -> Trace:
        """To the first target; inbound rules judge the frontend's address (floating IP)."""
        space = groups.space_of(self._snapshot, self._snapshot.need(frontend.vnet))
        steps = (*steps, Step("load balancer", f"to {frontend.targets[0]}", True))
        for place in self._places:
            if place.vnet == frontend.vnet and place.address == frontend.targets[0]:
                return self._arrive(place, packet, steps, space)
        return _end(Verdict.NOTHING_THERE, steps, Step("load balancer", "NoHealthyTarget", False))

    def _arrive(self, place: Place, packet: Packet, steps: tuple[Step, ...], space: groups.Space) -> Trace:
        on_interface, on_subnet = self._groups(place, space)
        steps, verdict = _judge("inbound", (("subnet", on_subnet), ("interface", on_interface)), packet, steps)
        return Trace(verdict, steps)

    def _groups(self, place: Place, space: groups.Space) -> tuple[Group | None, Group | None]:
        inside = [other for other in self._places if other.vnet == place.vnet]
        return (
            groups.on_interface(self._snapshot, place, inside, space),
            groups.on_subnet(self._snapshot, place.subnet, space),
        )


def _judge(
    direction: str, levels: tuple[tuple[str, Group | None], ...], packet: Packet, steps: tuple[Step, ...]
) -> tuple[tuple[Step, ...], Verdict]:
    """Both levels have to allow; a level without a group does."""
    for level, group in levels:
        if group is None:
            continue
        decision = rules.decide(group.rules.inbound if direction == "inbound" else group.rules.outbound, packet)
        name = decision.rule.name if decision.rule is not None else "no rule"
        steps = (*steps, Step(f"{direction} {level}", f"{group.id}: {name}", decision.allow))
        if not decision.allow:
            return steps, Verdict.DENIED_INBOUND if direction == "inbound" else Verdict.DENIED_OUTBOUND
    return steps, Verdict.ALLOWED


def _end(verdict: Verdict, steps: tuple[Step, ...], last: Step) -> Trace:
    return Trace(verdict, (*steps, last))


def _public(address: IPv4Address) -> bool:
    return address in IPv4Network("198.18.0.0/15")
