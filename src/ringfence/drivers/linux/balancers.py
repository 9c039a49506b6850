"""Balancers: a frontend that becomes one of its healthy targets, by a map of 64 slots.

A new connection hashes to a slot; a slot holds a target; changing a slot takes 0.1 ms and
moves new connections only. No slot, no answer. Which targets are healthy is found out by
`probes`. The client's address is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ringfence.desired.state import Balancer, Target
from ringfence.drivers.linux import chains, networks
from ringfence.drivers.linux.namespaces import Namespace
from ringfence.drivers.linux.stamps import TABLE, in_chains, stamp

SLOTS = 64

_FRONTEND = "frontend."
_KINDS = (chains.FRONTENDS_PUBLIC, chains.FRONTENDS_INTERNAL)


def spread(targets: tuple[Target, ...], healthy: frozenset[Target]) -> dict[int, Target]:
    """Slot by slot, who gets it: its own target if that is healthy, else the healthy ones in turn.

    Losing a target moves only that target's slots.
    """
    able = [target for target in targets if target in healthy]
    slots: dict[int, Target] = {}
    for slot in range(SLOTS if able else 0):
        own = targets[slot % len(targets)]
        slots[slot] = own if own in healthy else able[slot // len(targets) % len(able)]
    return slots


def put(router: Namespace, edge: Namespace, item: Balancer) -> frozenset[Target]:
    """Make the frontend, or change it; returns the targets that its slots hold already. Raises NftError or NetlinkError."""
    if item.protocol not in ("tcp", "udp"):
        raise ValueError(f"protocol {item.protocol!r}: a balancer is for tcp or udp")
    present = router.chains(TABLE)
    wanted = stamp("balancer", item.key, item.fingerprint).chain
    if wanted not in present:
        stale = [f"delete chain ip {TABLE} {name}" for name in _stamps(present, item.key)]
        router.nft.run("\n".join([*stale, *_frontend(router, item), f"add chain ip {TABLE} {wanted}"]))
    networks.publish(router, edge)
    held = frozenset(_slots(router, item).values()) & frozenset(item.targets)
    fill(router, item, held)
    return held


def fill(router: Namespace, item: Balancer, healthy: frozenset[Target]) -> None:
    """Give the slots to these targets; untouched slots stay as they are."""
    slots = _map(item.protocol, item.key)
    present = _slots(router, item)
    wanted = spread(item.targets, healthy)
    gone = [str(slot) for slot, target in present.items() if wanted.get(slot) != target]
    come = [f"{slot} : {t.address} . {t.port}" for slot, t in wanted.items() if present.get(slot) != t]
    lines = []
    if gone:
        lines.append(f"delete element ip {TABLE} {slots} {{ {', '.join(gone)} }}")
    if come:
        lines.append(f"add element ip {TABLE} {slots} {{ {', '.join(come)} }}")
    if lines:
        router.nft.run("\n".join(lines))


def drop(router: Namespace, edge: Namespace, key: str) -> None:
    """Remove a frontend; connections that it made before go on."""
    chain = _FRONTEND + key
    taken = _frontends_of(router, chain)
    lines = [
        *(_element("delete", *place) for place in taken),
        f"delete chain ip {TABLE} {chain}",
        *(f"delete map ip {TABLE} {name}" for name in {_map(place[1][1], key) for place in taken}),
        *(f"delete chain ip {TABLE} {name}" for name in _stamps(router.chains(TABLE), key)),
    ]
    router.nft.run("\n".join(lines))
    networks.publish(router, edge)


def _frontend(router: Namespace, item: Balancer) -> list[str]:
    chain, slots = _FRONTEND + item.key, _map(item.protocol, item.key)
    kind = chains.FRONTENDS_PUBLIC if item.public else chains.FRONTENDS_INTERNAL
    own = (item.address, item.protocol, item.port)
    taken = _frontends_of(router, chain)
    lines = [_element("delete", *place) for place in taken if place != (kind, own)]
    lines += [
        f"add chain ip {TABLE} {chain}",
        f"flush chain ip {TABLE} {chain}",
        *(f"delete map ip {TABLE} {name}" for name in {_map(place[1][1], item.key) for place in taken} - {slots}),
        f"add map ip {TABLE} {slots} {{ typeof numgen inc mod {SLOTS} : ip daddr . {item.protocol} dport; }}",
        f"add rule ip {TABLE} {chain} {_translation(item, slots)}",
        f'add rule ip {TABLE} {chain} counter name "{chains.NO_TARGET}" drop',
    ]
    if (kind, own) not in taken:
        lines.append(f"{_element('add', kind, own).removesuffix(' }')} : goto {chain} }}")
    return lines


def _map(protocol: str, key: str) -> str:
    """The name of the slots; the kind of port is part of a map's type."""
    return f"slots.{protocol}.{key}"


def _translation(item: Balancer, slots: str) -> str:
    mark = f"ct mark set {chains.FLOATING_MARK} " if item.floating else ""
    whole = "ip saddr" if item.by_source else f"ip saddr . {item.protocol} sport"
    source = f"jhash {whole} mod {SLOTS} seed 0x52494e47"
    return f"meta l4proto {item.protocol} {mark}dnat ip to {source} map @{slots}"


def _frontends_of(router: Namespace, chain: str) -> list[tuple[str, networks.Frontend]]:
    """The map and the key of each frontend that leads to this chain."""
    return [(kind, own) for kind in _KINDS for own, target in networks.frontends(router, kind).items() if target == chain]


def _element(verb: str, kind: str, frontend: networks.Frontend) -> str:
    address, protocol, port = frontend
    return f"{verb} element ip {TABLE} {kind} {{ {address} . {protocol} . {port} }}"


def _slots(router: Namespace, item: Balancer) -> Mapping[int, Target]:
    found = {}
    for number, value in networks.elements(router, _map(item.protocol, item.key)):
        match number, value:
            case int(slot), {"concat": [str(address), int(port)]}:
                found[slot] = Target(address=address, port=port)
            case _:
                raise ValueError(f"unexpected slot {number!r}: {value!r} of {item.key} in {router.name}")
    return found


def _stamps(present: Iterable[str], key: str) -> list[str]:
    return [found.chain for found in in_chains(present) if found.kind == "balancer" and found.key == key]
