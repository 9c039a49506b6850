"""Links: an endpoint to its router, a router to the edge. Names, MAC addresses, neighbours, routes.

Every endpoint has a /32 and one gateway, every neighbour is permanent, so no ARP is
sent and an address is spoken for by its route alone. The rules that hold on these links
are in `chains`.
"""

from __future__ import annotations

import errno
import ipaddress
import time
from collections.abc import Iterable

from ringfence.drivers.linux.namespaces import Namespace
from ringfence.kernel.netlink import Link, NetlinkError, VethEnd

GATEWAY = "169.254.1.1"
GATEWAY_MAC = bytes.fromhex("123456789abc")  # Azure's virtual gateway
_OPERATIONAL_WITHIN_S = 2.0
PEER = "p"
"""How the names of links to peered routers begin."""
UPLINK = "edge"
"""The name of a router's link to the edge."""

_ETH0 = 2  # the first index after lo, in an endpoint's or router's namespace


class AddressTaken(Exception):
    """An address leads somewhere else already."""


def port_name(address: str) -> str:
    """The router-side link of the endpoint with this address; rules name it before and after it exists."""
    return f"v{int(ipaddress.IPv4Address(address)):08x}"


def edge_port_name(index: int) -> str:
    """The edge-side link of the router with this index."""
    return f"x{index}"


def peer_port_name(index: int) -> str:
    """The link, in a router, to the peered router with this index."""
    return f"{PEER}{index}"


def attach(endpoint: Namespace, router: Namespace, address: str, alias: str) -> int:
    """Join an endpoint to its router; returns its link there. The stamp comes last: an endpoint that has it works."""
    index = router.new_index()
    mac = b"\x02\x00" + ipaddress.IPv4Address(address).packed
    pair(router, VethEnd(port_name(address), index, GATEWAY_MAC), endpoint, VethEnd("eth0", _ETH0, mac))
    inside = endpoint.rtnl
    inside.set_up(_ETH0)
    inside.add_address(_ETH0, address)
    inside.add_neighbour(_ETH0, GATEWAY, GATEWAY_MAC)
    inside.add_route("0.0.0.0/0", link=_ETH0, via=GATEWAY)
    inside.commit()
    router.rtnl.set_up(index)
    router.rtnl.add_neighbour(index, address, mac)
    router.rtnl.add_route(f"{address}/32", link=index)
    router.rtnl.commit()
    await_operational(endpoint, _ETH0)
    router.rtnl.set_alias(index, alias)
    router.rtnl.commit()
    return index


def detach(router: Namespace, indexes: Iterable[int]) -> None:
    """Cut endpoints off at once: without its route, an endpoint's packets count as spoofed, and none reaches it.

    The links themselves go with the endpoints' namespaces; deleting them here costs 20 ms each.
    """
    routes = {route.link: route.destination for route in router.rtnl.routes()}
    for index in indexes:
        if index in routes:
            router.rtnl.delete_route(routes[index], link=index)
        router.rtnl.set_alias(index, "")
    router.rtnl.commit()


def join_edge(router: Namespace, edge: Namespace, index: int, alias: str) -> None:
    """Join a router to the edge; the router's default route is there. What may take it is a matter of rules."""
    far = edge.new_index()
    router_mac = b"\x02\x01" + index.to_bytes(4, "big")
    pair(edge, VethEnd(edge_port_name(index), far, GATEWAY_MAC), router, VethEnd(UPLINK, _ETH0, router_mac))
    router.rtnl.set_up(_ETH0)
    router.rtnl.add_neighbour(_ETH0, GATEWAY, GATEWAY_MAC)
    router.rtnl.add_route("0.0.0.0/0", link=_ETH0, via=GATEWAY)
    router.rtnl.commit()
    edge.rtnl.set_up(far)
    edge.rtnl.add_neighbour(far, GATEWAY, router_mac)
    edge.rtnl.commit()
    await_operational(router, _ETH0)
    router.rtnl.set_alias(_ETH0, alias)
    router.rtnl.commit()


def publish(edge: Namespace, index: int, addresses: frozenset[str]) -> None:
    """Route exactly these public addresses from the edge to a router. Raises AddressTaken when another router has one."""
    port = find(edge, edge_port_name(index))
    if port is None:
        raise KeyError(edge_port_name(index))
    wanted = {f"{address}/32" for address in addresses}
    present = {route.destination for route in edge.rtnl.routes(port.index)}
    for destination in sorted(present - wanted):
        edge.rtnl.delete_route(destination, link=port.index)
    for destination in sorted(wanted - present):
        edge.rtnl.add_route(destination, link=port.index, via=GATEWAY)
    try:
        edge.rtnl.commit()
    except NetlinkError as error:
        if error.errno == errno.EEXIST:
            raise AddressTaken(f"another network has one of {', '.join(sorted(addresses))}") from error
        raise


def find(namespace: Namespace, name: str) -> Link | None:
    return namespace.rtnl.link(name)


def await_operational(namespace: Namespace, index: int) -> None:
    """The end that came up first sends nothing until the kernel has noticed that the other one is up, too."""
    until = time.monotonic() + _OPERATIONAL_WITHIN_S
    while not namespace.rtnl.is_operational(index):
        if time.monotonic() > until:
            raise TimeoutError(f"link {index} of {namespace.name} did not come up within {_OPERATIONAL_WITHIN_S} s")
        time.sleep(0.001)


def pair(here: Namespace, end: VethEnd, there: Namespace, peer: VethEnd) -> None:
    """Raises AddressTaken when a stamped link has this name.

    A link of this name without a stamp was dropped a moment ago, and the kernel has not freed its namespace yet; it
    may vanish while we look.
    """
    for last in (False, False, True):
        here.rtnl.add_veth(end, peer, there.descriptor)
        try:
            here.rtnl.commit()
            return
        except NetlinkError as error:
            if error.errno != errno.EEXIST or last:
                raise
        leftover = find(here, end.name)
        if leftover is not None and leftover.alias:
            raise AddressTaken(f"the link {end.name} belongs to {leftover.alias}")
        if leftover is not None:
            delete(here, leftover.index)


def delete(namespace: Namespace, index: int) -> None:
    namespace.rtnl.delete_link(index)
    try:
        namespace.rtnl.commit()
    except NetlinkError as error:
        if error.errno != errno.ENODEV:  # gone by itself in the meantime
            raise
