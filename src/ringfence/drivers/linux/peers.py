"""Peerings: a link between the routers of two networks, and the routes to each other's prefixes.

What may take the link is in `chains`: nothing is sent on from one peer to another. The stamp is on the
link of the first network's router, and comes last: a peering that has it works.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ringfence.desired.state import Key, Peering
from ringfence.drivers.linux import links, networks, stamps
from ringfence.drivers.linux.namespaces import Namespace
from ringfence.kernel.netlink import VethEnd


def join(one: Namespace, other: Namespace, item: Peering) -> int:
    """Make the link with its routes; returns its index in the first router. Raises OSError, and leaves nothing stamped."""
    ends = networks.index_of(one), networks.index_of(other)
    near = VethEnd(links.peer_port_name(ends[1]), one.new_index(), _mac(*ends))
    far = VethEnd(links.peer_port_name(ends[0]), other.new_index(), _mac(ends[1], ends[0]))
    links.pair(one, near, other, far)
    _lead(one, near.index, far.mac, item.other_prefixes)
    _lead(other, far.index, near.mac, item.one_prefixes)
    links.await_operational(one, near.index)
    links.await_operational(other, far.index)
    one.rtnl.set_alias(near.index, stamps.stamp("peering", item.key, item.fingerprint).alias)
    one.rtnl.commit()
    return near.index


def cut(one: Namespace, link: int) -> None:
    """Take the link away, with the routes on both of its sides."""
    links.delete(one, link)


def seen(router: Namespace) -> Iterator[tuple[Key, str, int]]:
    """The peerings stamped in a router: key, fingerprint, index of the link."""
    for link in router.rtnl.links():
        stamp = stamps.in_alias(link.alias) if link.name.startswith(links.PEER) else None
        if stamp is not None:
            yield stamp.key, stamp.fingerprint, link.index


def _mac(near: int, far: int) -> bytes:
    return b"\x02\x02" + near.to_bytes(2, "big") + far.to_bytes(2, "big")


def _lead(router: Namespace, link: int, mac: bytes, prefixes: Iterable[str]) -> None:
    router.rtnl.set_up(link)
    router.rtnl.add_neighbour(link, links.GATEWAY, mac)
    for prefix in prefixes:
        router.rtnl.add_route(prefix, link=link, via=links.GATEWAY)
    router.rtnl.commit()
