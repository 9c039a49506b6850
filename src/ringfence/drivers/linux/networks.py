"""Networks: a router namespace per VNet, and the edge that stands for the internet.

Makes and changes routers as `desired` says, and reads back what is there. Filtering of
customers is `filters`' work, public frontends are `balancers`'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from ringfence.desired.state import INTERNET, PLATFORM_ADDRESS, Network
from ringfence.drivers.linux import chains, links, stamps
from ringfence.drivers.linux.namespaces import Namespace, Namespaces
from ringfence.kernel.netlink import LOOPBACK

EDGE = "edge"

Frontend = tuple[str, str, int]
"""Address, protocol and port under which a balancer is reached."""

_ROUTER_SYSCTLS = (
    ("net/netfilter/nf_conntrack_tcp_timeout_time_wait", "10"),  # short calls would fill the table for minutes
    ("net/netfilter/nf_conntrack_tcp_timeout_close", "2"),
)


def router_name(index: int) -> str:
    return f"n{index}"


def is_router(name: str) -> bool:
    return name[:1] == "n" and name[1:].isdecimal()


def index_of(router: Namespace) -> int:
    return int(router.name[1:])


def ensure_edge(namespaces: Namespaces) -> Namespace:
    """The edge, made if it is not there or if its rules are of another version of Ringfence."""
    rules = chains.edge()
    stamp = stamps.stamp("network", INTERNET, hashlib.sha256(rules.encode()).hexdigest()[:16])
    if EDGE in namespaces.names():
        edge = namespaces.open(EDGE)
        if stamp in stamps.in_chains(edge.chains(stamps.TABLE)):
            return edge
        edge.close()
    edge = namespaces.create(EDGE)
    edge.rtnl.add_address(LOOPBACK, PLATFORM_ADDRESS)
    edge.rtnl.add_route(chains.AZURE, kind="local", link=LOOPBACK)
    edge.rtnl.add_route(chains.PUBLIC, kind="blackhole")  # what nobody has does not answer
    edge.rtnl.commit()
    edge.nft.run(rules)
    edge.set_sysctl("net/ipv4/ip_forward", "1")
    edge.nft.run(f"add chain ip {stamps.TABLE} {stamp.chain}")
    return edge


def create(namespaces: Namespaces, edge: Namespace, network: Network) -> Namespace:
    """A router that forwards nothing yet but what its platform rules allow. Raises OSError or NftError, and leaves nothing."""
    stamp = stamps.stamp("network", network.key, network.fingerprint)
    router = namespaces.create(router_name(network.index))
    try:
        router.rtnl.add_address(LOOPBACK, PLATFORM_ADDRESS)
        router.rtnl.commit()
        router.nft.run(chains.router())
        router.set_sysctl("net/ipv4/ip_forward", "1")
        for sysctl, value in _ROUTER_SYSCTLS:
            router.set_sysctl(sysctl, value)
        links.join_edge(router, edge, network.index, stamp.alias)
        update(router, edge, network)
    except BaseException:
        destroy(namespaces, router)
        raise
    return router


def update(router: Namespace, edge: Namespace, network: Network) -> None:
    """Give a router its prefixes and egress; endpoints and connections stay. A table that somebody removed is made anew.

    The stamp comes last, in a transaction of its own, as the routes at the edge are no part of the table.
    """
    stamp = stamps.stamp("network", network.key, network.fingerprint)
    present = router.chains(stamps.TABLE)
    stale = [found.chain for found in stamps.in_chains(present) if found.kind == "network"]
    if chains.EGRESS not in present:
        router.nft.run(f"add table ip {stamps.TABLE}\ndelete table ip {stamps.TABLE}\n{chains.router()}")
    _blackhole(router, frozenset(network.prefixes))
    router.nft.run("\n".join([*(f"delete chain ip {stamps.TABLE} {name}" for name in stale), chains.fill(network)]))
    _private(router, network)
    publish(router, edge)
    router.nft.run(f"add chain ip {stamps.TABLE} {stamp.chain}")


def _blackhole(router: Namespace, prefixes: frozenset[str]) -> None:
    """What has no endpoint in these prefixes is dropped and never sent on."""
    present = {route.destination for route in router.rtnl.routes() if route.kind == "blackhole"}
    for prefix in sorted(present - prefixes):
        router.rtnl.delete_route(prefix, kind="blackhole")
    for prefix in sorted(prefixes - present):
        router.rtnl.add_route(prefix, kind="blackhole")
    router.rtnl.commit()


def _private(router: Namespace, network: Network) -> None:
    """Turn the maps over to a network's private endpoints, element by element: flushing them would lose connections."""
    targets = {f"{one.address} . {one.port}": one.target for one in network.private}
    links_ = {one.address: one.link for one in network.private}
    lines = [*_turned(router, chains.PRIVATE_TARGETS, targets), *_turned(router, chains.PRIVATE_LINKS, links_)]
    lines.append(f"flush set ip {stamps.TABLE} {chains.PRIVATE_LIVE}")
    if links_:
        lines.append(f"add element ip {stamps.TABLE} {chains.PRIVATE_LIVE} {{ {', '.join(links_)} }}")
    router.nft.run("\n".join(lines))


def _turned(router: Namespace, table_map: str, wanted: Mapping[str, str]) -> list[str]:
    present = {}
    for key, value in elements(router, table_map):
        name = " . ".join(map(str, key["concat"])) if isinstance(key, dict) else str(key)
        present[name] = str(value)
    stale = [key for key, value in present.items() if wanted.get(key) != value]
    fresh = [key for key, value in wanted.items() if present.get(key) != value]
    lines = [f"delete element ip {stamps.TABLE} {table_map} {{ {key} }}" for key in stale]
    return lines + [f"add element ip {stamps.TABLE} {table_map} {{ {key} : {wanted[key]} }}" for key in fresh]


def destroy(namespaces: Namespaces, router: Namespace) -> None:
    """Give up a router; its links, and the routes at the edge that lead to it, go with it."""
    router.close()
    namespaces.destroy(router.name)


def publish(router: Namespace, edge: Namespace) -> None:
    """Route to a router, from the edge, its way out, its public frontends and the addresses of single endpoints."""
    addresses = {address for address, _, _ in frontends(router, chains.FRONTENDS_PUBLIC)}
    owned = {str(public) for public, _ in elements(router, chains.OWNED_IN)}
    links.publish(edge, index_of(router), frozenset(addresses | owned | _kept(router) | _egress(router)))


def frontends(router: Namespace, table_map: str) -> Mapping[Frontend, str]:
    """Address, protocol and port of the frontends in a map, and the chain each leads to."""
    found = {}
    for key, value in elements(router, table_map):
        match key, value:
            case {"concat": [str(address), str(protocol), int(port)]}, {"goto": {"target": str(chain)}}:
                found[address, protocol, port] = chain
            case _:
                raise ValueError(f"unexpected element {key!r}: {value!r} in map {table_map} of {router.name}")
    return found


def elements(namespace: Namespace, table_map: str) -> list[tuple[object, object]]:
    """The elements of a map, as libnftables prints them."""
    for entry in namespace.nft.query(f"list map ip {stamps.TABLE} {table_map}"):
        match entry:
            case {"map": {"elem": [*listed]}}:
                return [(pair[0], pair[1]) for pair in listed]
    return []


def _kept(router: Namespace) -> set[str]:
    for entry in router.nft.query(f"list set ip {stamps.TABLE} {chains.KEPT}"):
        match entry:
            case {"set": {"elem": [*listed]}}:
                return {str(address) for address in listed}
    return set()


def _egress(router: Namespace) -> set[str]:
    """Every address that something leaves a router as."""
    found = {str(link) for _, link in elements(router, chains.PRIVATE_LINKS)}
    for chain in (chains.EGRESS, chains.SOURCES):
        for entry in router.nft.query(f"list chain ip {stamps.TABLE} {chain}"):
            match entry:
                case {"rule": {"expr": [*_, {"snat": {"addr": str(address)}}]}}:
                    found.add(address)
    return found
