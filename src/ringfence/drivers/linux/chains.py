"""The fixed part of filtering: the tables of a router and of the edge, before any rule of a customer.

Both are closed by default. The order in a router: what is spoofed, then outbound rules
(before translation, as Azure judges them), then frontends of balancers, then inbound
rules (after translation). The customer's rules come in by the maps named here; they are
written by `filters` and `balancers`.
"""

from __future__ import annotations

from ringfence.desired.state import PLATFORM_ADDRESS, Network
from ringfence.drivers.linux.links import PEER, UPLINK
from ringfence.drivers.linux.stamps import TABLE

AZURE = "198.18.0.0/17"
LINKS = "198.18.128.0/17"
"""From where services see what came through private endpoints and service endpoints; nobody is sent there."""
CUSTOMERS = "198.19.0.0/16"
PUBLIC = "198.18.0.0/15"
"""Every address that counts as the internet: Azure's (198.18) and everybody else's (198.19)."""
SOURCES = "service_sources"
"""The chain that rewrites the source of what subnets with service endpoints send to those services."""
PEERED = "peered"
"""The prefixes of peered networks."""
PRIVATE_TARGETS, PRIVATE_LINKS, PRIVATE_LIVE, PRIVATE_GUARDS = (
    "private_targets",
    "private_links",
    "private_live",
    "private_guards",
)
"""Private endpoints: address and port to service; address to link address; addresses in force; address to judging chain."""

OUTBOUND, INBOUND, INBOUND_FLOATING = "outbound", "inbound", "inbound_floating"
"""Maps from an endpoint's port to the chain that judges it."""
FRONTENDS_PUBLIC, FRONTENDS_INTERNAL = "frontends_public", "frontends_internal"
"""Maps from address, protocol and port to the chain of a balancer."""
FLOATING_MARK = "0x1"
"""The mark of connections whose inbound rules judge the frontend and not the target."""
OWNED_IN, OWNED_OUT = "owned_in", "owned_out"
"""Maps from a public address to the private one that has it for itself, and back."""
KEPT = "kept"
"""Public addresses that are routed to the network even while no frontend has them."""
EGRESS = "egress"
"""The chain that rewrites the source of what leaves for the edge."""

SPOOFED, NO_ROUTE, PRIVATE = "spoofed", "no_route", "private_destination"
UNBOUND_OUT, UNBOUND_IN, NO_TARGET = "unbound_out", "unbound_in", "no_target"
UNOWNED = "unowned_address"
PLATFORM_COUNTERS = {
    SPOOFED: ("outbound", "Spoofed"),
    NO_ROUTE: ("outbound", "NoRoute"),
    PRIVATE: ("inbound", "PrivateAddressFromInternet"),
    UNOWNED: ("inbound", "PublicAddressOfNobody"),
    UNBOUND_OUT: ("outbound", "Unbound"),
    UNBOUND_IN: ("inbound", "Unbound"),
    NO_TARGET: ("inbound", "NoHealthyTarget"),
}
"""Counters of the platform's own drops: direction and name under which they are reported."""

_NOT_PUBLIC = "{ 0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16, 224.0.0.0/3 }"


_EDGE = f"""
table ip {TABLE} {{
 counter {SPOOFED} {{
 }}
 counter {PRIVATE} {{
 }}
 counter {NO_ROUTE} {{
 }}
 counter {UNOWNED} {{
 }}
 chain early {{
  type filter hook prerouting priority -300; policy accept;
  iifname "lo" accept
  fib saddr . iif oif 0 counter name "{SPOOFED}" drop
  ip daddr {CUSTOMERS} fib daddr oif 0 counter name "{UNOWNED}" drop
  ip daddr {PUBLIC} accept
  ip daddr {PLATFORM_ADDRESS} accept
  ip daddr {_NOT_PUBLIC} counter name "{PRIVATE}" drop
  counter name "{NO_ROUTE}" drop
 }}
 chain crossing {{
  type filter hook forward priority 0; policy drop;
  ip daddr {LINKS} drop
  ip saddr {PUBLIC} ip daddr {PUBLIC} accept
 }}
 chain arriving {{
  type filter hook input priority 0; policy drop;
  iifname "lo" accept
  ip daddr {AZURE} tcp dport 443 accept
  ip daddr {PLATFORM_ADDRESS} meta l4proto {{ tcp, udp }} th dport 53 accept
 }}
}}
"""


_ROUTER = f"""
table ip {TABLE} {{
 counter {SPOOFED} {{
 }}
 counter {NO_ROUTE} {{
 }}
 counter {UNBOUND_OUT} {{
 }}
 counter {UNBOUND_IN} {{
 }}
 counter {NO_TARGET} {{
 }}
 counter {UNOWNED} {{
 }}
 set local {{
  type ipv4_addr; flags interval;
 }}
 set {PEERED} {{
  type ipv4_addr; flags interval;
 }}
 map {PRIVATE_TARGETS} {{
  type ipv4_addr . inet_service : ipv4_addr;
 }}
 map {PRIVATE_LINKS} {{
  type ipv4_addr : ipv4_addr;
 }}
 set {PRIVATE_LIVE} {{
  type ipv4_addr;
 }}
 map {PRIVATE_GUARDS} {{
  type ipv4_addr : verdict;
 }}
 map {OUTBOUND} {{
  type ifname : verdict;
 }}
 map {INBOUND} {{
  type ifname : verdict;
 }}
 map {INBOUND_FLOATING} {{
  type ifname : verdict;
 }}
 map {FRONTENDS_PUBLIC} {{
  type ipv4_addr . inet_proto . inet_service : verdict;
 }}
 map {FRONTENDS_INTERNAL} {{
  type ipv4_addr . inet_proto . inet_service : verdict;
 }}
 map {OWNED_IN} {{
  type ipv4_addr : ipv4_addr;
 }}
 map {OWNED_OUT} {{
  type ipv4_addr : ipv4_addr;
 }}
 set {KEPT} {{
  type ipv4_addr;
 }}
 chain spoofing {{
  type filter hook prerouting priority -300; policy accept;
  iifname "lo" accept
  fib saddr . iif oif 0 counter name "{SPOOFED}" drop
 }}
 chain leaving {{
  type filter hook prerouting priority -150; policy drop;
  ct state established,related accept
  ct state invalid drop
  iifname {{ "lo", "{UPLINK}" }} accept
  iifname "{PEER}*" accept
  iifname vmap @{OUTBOUND}
  counter name "{UNBOUND_OUT}" drop
 }}
 chain way_out {{
 }}
 chain admitted {{
  ip daddr @local accept
  ip daddr @{PEERED} accept
  ip daddr {_NOT_PUBLIC} counter name "{NO_ROUTE}" drop
  jump way_out
  counter name "{NO_ROUTE}" drop
 }}
 chain translate {{
  type nat hook prerouting priority -100; policy accept;
  iifname "{UPLINK}" ip daddr . meta l4proto . th dport vmap @{FRONTENDS_PUBLIC}
  iifname != "{UPLINK}" ip daddr . meta l4proto . th dport vmap @{FRONTENDS_INTERNAL}
  iifname != "{UPLINK}" dnat to ip daddr . tcp dport map @{PRIVATE_TARGETS}
  iifname "{UPLINK}" dnat to ip daddr map @{OWNED_IN}
 }}
 chain crossing {{
  type filter hook forward priority 0; policy drop;
  ct direction original oifname "{UPLINK}" ct status dnat ct original ip daddr != @{PRIVATE_LIVE} drop
  ct state established,related accept
  iifname "{UPLINK}" oifname "{UPLINK}" counter name "{UNOWNED}" drop
  iifname "{PEER}*" oifname "{PEER}*" drop
  ct original ip daddr vmap @{PRIVATE_GUARDS}
  iifname "{PEER}*" oifname "{UPLINK}" ct status dnat accept
  iifname "{PEER}*" oifname "{UPLINK}" drop
  oifname "{UPLINK}" accept
  oifname "{PEER}*" accept
  ct mark {FLOATING_MARK} oifname vmap @{INBOUND_FLOATING}
  oifname vmap @{INBOUND}
  counter name "{UNBOUND_IN}" drop
 }}
 chain asking {{
  type filter hook input priority 0; policy drop;
  iifname "lo" accept
  ct state established,related accept
  iifname != "{UPLINK}" ip daddr {PLATFORM_ADDRESS} meta l4proto {{ tcp, udp }} th dport 53 accept
 }}
 chain probing {{
  type filter hook output priority 0; policy drop;
  oifname "lo" accept
  ct state established,related accept
  ip saddr {PLATFORM_ADDRESS} oifname vmap @{INBOUND}
 }}
 chain {EGRESS} {{
 }}
 chain {SOURCES} {{
 }}
 chain rewrite {{
  type nat hook postrouting priority 100; policy accept;
  oifname "{UPLINK}" snat to ct original ip daddr map @{PRIVATE_LINKS}
  oifname "{UPLINK}" jump {SOURCES}
  oifname "{UPLINK}" snat to ip saddr map @{OWNED_OUT}
  oifname "{UPLINK}" jump {EGRESS}
 }}
}}
"""


def edge() -> str:
    """The table of the edge. No connection tracking: it only tells public addresses from others."""
    return _EDGE


def router() -> str:
    """The table of a VNet's router. Nothing passes until `network` and `filters` have filled it."""
    return _ROUTER


def fill(network: Network) -> str:
    """What a network's own values are in its router's table, whatever they were, but for its private endpoints."""
    lines = [
        f"flush set ip {TABLE} local",
        f"flush set ip {TABLE} {PEERED}",
        f"flush chain ip {TABLE} way_out",
        f"flush chain ip {TABLE} {EGRESS}",
        f"flush chain ip {TABLE} {SOURCES}",
        f"flush map ip {TABLE} {OWNED_IN}",
        f"flush map ip {TABLE} {OWNED_OUT}",
        f"flush set ip {TABLE} {KEPT}",
        f"add element ip {TABLE} local {{ {', '.join(network.prefixes)} }}",
    ]
    if network.peered:
        lines.append(f"add element ip {TABLE} {PEERED} {{ {', '.join(network.peered)} }}")
    if network.kept:
        lines.append(f"add element ip {TABLE} {KEPT} {{ {', '.join(network.kept)} }}")
    for public, private in network.owned:
        lines.append(f"add element ip {TABLE} {OWNED_IN} {{ {public} : {private} }}")
        lines.append(f"add element ip {TABLE} {OWNED_OUT} {{ {private} : {public} }}")
    for source in network.sources:
        match = f"ip saddr {source.prefix} ip daddr {{ {', '.join(source.destinations)} }}"
        lines.append(f"add rule ip {TABLE} {SOURCES} {match} snat to {source.link}")
    if network.egress is not None:
        lines.append(f"add rule ip {TABLE} way_out accept")
        lines.append(f"add rule ip {TABLE} {EGRESS} snat to {network.egress}")
    return "\n".join(lines)
