"""Rule sets as nftables chains: pure text, first match decides, one counter per rule.

Everything has a name made of its content, so that a changed rule set never touches the
chains of the old one and an unchanged one is recognised by a fresh process. Loading is
`filters`' work.
"""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.desired.state import PLATFORM_ADDRESS, Binding, Filter, Rule, RuleSet
from ringfence.drivers.linux import chains, links
from ringfence.drivers.linux.stamps import TABLE

SETS, PAIRS = "nsg.", "pair."
"""How the names of chains of rule sets, and of bindings, begin."""

_WITHOUT_PORTS = frozenset({"icmp", "esp", "ah"})
_NAME = re.compile(r"[a-z0-9_]{1,40}")
_ANY_PORT = (0, 65535)


class Unenforceable(ValueError):
    """A rule that cannot be put into packet filters as it is meant. The message names it, and why."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a counter counts, in the words of its rule set."""

    rule_set: str
    direction: str
    rule: str
    allow: bool


@dataclass(frozen=True, slots=True)
class Program:
    """What a filter needs in a table.

    sets: for each rule set its chains and their lines. pairs: the chains of bindings, which jump to those.
    counters: what each counts. ports: elements of the maps that lead to chains, by port or address.
    """

    sets: Mapping[str, Mapping[str, tuple[str, ...]]]
    pairs: Mapping[str, tuple[str, ...]]
    counters: Mapping[str, Label]
    ports: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the three ways a rule set is read."""

    letter: str
    port_map: str
    direction: str
    floating: bool = False


_OUT = _Side("out", chains.OUTBOUND, "outbound")
_IN = _Side("in", chains.INBOUND, "inbound")
_FLOATING = _Side("fip", chains.INBOUND_FLOATING, "inbound", floating=True)
_SIDES = (_OUT, _IN, _FLOATING)


def render(item: Filter) -> Program:
    """Raises Unenforceable."""
    _check_names(item)
    counters: dict[str, Label] = {}
    names = {rule_set.name: f"{SETS}{rule_set.name}.{_digest(repr(rule_set))}" for rule_set in item.rule_sets}
    sets = {}
    for rule_set in item.rule_sets:
        name = names[rule_set.name]
        sets[name] = {f"{name}.{side.letter}": _rules(rule_set, name, side, counters) for side in _SIDES}
    pairs: dict[str, tuple[str, ...]] = {}
    ports: dict[str, dict[str, str]] = {side.port_map: {} for side in _SIDES}
    ports[chains.PRIVATE_GUARDS] = {}
    for binding, side in itertools.product(item.bindings, _SIDES):
        if binding.private and side is not _FLOATING:
            continue
        chain, body = _binding(binding, names, side)
        pairs[chain] = body
        if binding.private:
            ports[chains.PRIVATE_GUARDS][binding.address] = chain
        else:
            ports[side.port_map][links.port_name(binding.address)] = chain
    return Program(sets, pairs, counters, ports)


def _check_names(item: Filter) -> None:
    names = [rule_set.name for rule_set in item.rule_sets]
    for name in names:
        if not _NAME.fullmatch(name) or names.count(name) > 1:
            raise Unenforceable(f"rule set name {name!r}: at most 40 of a-z, 0-9 and _, and each name once")


def _rules(rule_set: RuleSet, chain: str, side: _Side, counters: dict[str, Label]) -> tuple[str, ...]:
    lines: list[str] = []
    rules = rule_set.outbound if side is _OUT else rule_set.inbound
    for number, rule in enumerate(rules):
        counter = f"{chain}.{side.direction}.{number}"
        counters[counter] = Label(rule_set.id, side.direction, rule.name, rule.allow)
        verdict = "return" if rule.allow else "drop"
        lines.extend(f'{match} counter name "{counter}" {verdict}'.strip() for match in matches(rule, floating=side.floating))
    return (*lines, "drop")


def _binding(binding: Binding, names: Mapping[str, str], side: _Side) -> tuple[str, tuple[str, ...]]:
    levels = (binding.nic, binding.subnet) if side is _OUT else (binding.subnet, binding.nic)
    for name in levels:
        if name is not None and name not in names:
            raise Unenforceable(f"{binding.endpoint} is bound to the rule set {name!r}, which the filter does not have")
    jumps = tuple(f"jump {names[name]}.{side.letter}" for name in levels if name is not None)
    # The platform's resolver is never filtered (RULES.md section 2.8).
    head, tail = ((f"ip daddr {PLATFORM_ADDRESS} accept",), "goto admitted") if side is _OUT else ((), "accept")
    body = (*head, *jumps, tail)
    return f"{PAIRS}{_digest(repr(body))}.{side.letter}", body


def matches(rule: Rule, *, floating: bool) -> tuple[str, ...]:
    """The match parts of the lines that together are this rule. floating: judge the destination before translation."""
    destination = "ct original ip daddr" if floating else "ip daddr"
    addresses = _addresses("ip saddr", rule.sources) + _addresses(destination, rule.destinations)
    protocol = _protocol(rule)
    sources = _ports("th sport", rule.source_ports, together=True)
    # nft 1.0.6 cannot read back a set of original ports, so each range has a line of its own.
    destinations = _ports("ct original proto-dst" if floating else "th dport", rule.destination_ports, together=not floating)
    pairs = itertools.product(sources or [""], destinations or [""])
    return tuple(" ".join(filter(None, [*protocol, *addresses, *pair])) for pair in pairs)


def _protocol(rule: Rule) -> list[str]:
    with_ports = bool(_specific(rule.source_ports) or _specific(rule.destination_ports))
    if rule.protocol in ("tcp", "udp"):
        return [f"meta l4proto {rule.protocol}"]
    if rule.protocol == "*":
        return ["meta l4proto { tcp, udp }"] if with_ports else []
    if rule.protocol not in _WITHOUT_PORTS:
        raise Unenforceable(f"rule {rule.name!r} has the protocol {rule.protocol!r}; known are tcp, udp, icmp, esp, ah and *")
    if with_ports:
        raise Unenforceable(f"rule {rule.name!r} names ports, which {rule.protocol} does not have; leave them open (`*`)")
    return [f"meta l4proto {rule.protocol}"]


def _addresses(field: str, prefixes: tuple[str, ...]) -> list[str]:
    networks = list(ipaddress.collapse_addresses(ipaddress.IPv4Network(prefix, strict=False) for prefix in prefixes))
    if not networks or networks[0].prefixlen == 0:
        return []
    if len(networks) == 1:
        return [f"{field} {networks[0]}"]
    return [f"{field} {{ {', '.join(map(str, networks))} }}"]


def _specific(ports: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ports):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return () if merged == [_ANY_PORT] else tuple(merged)


def _ports(field: str, ports: tuple[tuple[int, int], ...], *, together: bool) -> list[str]:
    ranges = [str(low) if low == high else f"{low}-{high}" for low, high in _specific(ports)]
    if together and len(ranges) > 1:
        return [f"{field} {{ {', '.join(ranges)} }}"]
    return [f"{field} {text}" for text in ranges]


def _digest(text: str) -> str:
    return hashlib.sha256(f"{TABLE} {text}".encode()).hexdigest()[:10]
