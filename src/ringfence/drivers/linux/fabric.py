"""The fabric: networks, endpoints, rules, balancers and resolvers, made true in the kernel.

Takes items one by one to the module that knows their kind, and answers for what is there.
Processes (workloads, routers of clusters, environments) belong to the other half of this
driver. Runs inside the sandbox, as root of its user namespace.
"""

from __future__ import annotations

import errno
import functools
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ringfence.desired.state import (
    PLATFORM_ADDRESS,
    AnyItem,
    Balancer,
    Endpoint,
    Filter,
    Key,
    Network,
    Observed,
    Peering,
    ServiceMap,
    View,
)
from ringfence.drivers.base import Failure, RuleCount
from ringfence.drivers.linux import balancers, filters, links, networks, peers, services, stamps
from ringfence.drivers.linux.ground import Ground, Missing
from ringfence.drivers.linux.loop import LoopThread
from ringfence.drivers.linux.probes import Prober
from ringfence.drivers.linux.rendering import Unenforceable
from ringfence.drivers.linux.resolvers import Resolvers
from ringfence.drivers.linux.scan import Place, endpoint_name
from ringfence.kernel.nft import NftError

ROOT = Path("/run/ringfence")
"""Where namespaces are mounted; on the sandbox's own tmpfs."""

_EXPECTED = (OSError, NftError, Missing, links.AddressTaken, ValueError)
"""What can go wrong with one item and must not stop the others."""


class Fabric:
    """The verbs of the driver for the seven kinds of network items.

    `prepare` first. `observe`, `put` and `drop` are for one thread at a time; the others for any.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self._ground = Ground(root / "netns")
        self._labels = filters.Labels(root / "labels")
        self._thread = LoopThread("fabric")
        self._resolvers = Resolvers(self._thread)
        self._prober = Prober(self._thread)

    def prepare(self) -> None:
        """Make the edge if it is not there, and remove what a dead process left half-made. Raises OSError, NftError."""
        self._ground.keep_open(networks.ensure_edge(self._ground.namespaces))
        for name in self._ground.scan():
            self._ground.give_up(name)

    def close(self) -> None:
        """End the threads; what is in the kernel stays, and goes on filtering and forwarding."""
        self._resolvers.close()
        self._thread.close()
        self._ground.close()

    def observe(self) -> dict[Key, Observed]:
        """Everything of ours, from the kernel.

        Balancers and filters that stand in the kernel while this process does not probe or cannot name them are
        reported with an empty fingerprint: they are put again, and taken over as they are.
        """
        self._ground.scan()
        observed = {key: Observed(self._in_force(key, place)) for key, place in self._ground.places.items()}
        return observed | {key: Observed(mark) for key, mark in self._resolvers.fingerprints().items()}

    def put(self, items: Iterable[AnyItem]) -> list[Failure]:
        """Make or change items, in the order given. A failure of one does not stop the others."""
        failures = []
        for item in items:
            try:
                self._put(item)
            except _EXPECTED as error:
                failures.append(_failure(item, error))
        return failures

    def drop(self, keys: Sequence[Key]) -> list[Failure]:
        """Remove items; those that are not there, or not ours, are passed over. Endpoints go together, networks last."""
        failures = []
        for group, action in self._removals(keys):
            try:
                action()
            except _EXPECTED as error:
                failures += [Failure(key, "InternalServerError", f"{key} could not be removed: {error}") for key in group]
        return failures

    def counters(self, network: Key) -> tuple[RuleCount, ...]:
        """Packets that each rule decided; the platform's own drops under rule set "platform". Raises KeyError."""
        router = self._ground.router_named(self._ground.name(network))
        _, labels = self._labels.read(router)
        return filters.counts(router, labels)

    def health(self) -> Mapping[Key, Mapping[str, bool]]:
        """For each balancer, which targets (`address:port`) answer its probe."""
        return self._prober.health()

    def namespace(self, key: Key) -> str:
        """The path of the network namespace of an endpoint or a network. Raises KeyError."""
        return str(self._ground.namespaces.folder / self._ground.name(key))

    def open_socket(self, key: Key, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A socket that lives in the namespace of an endpoint or a network. Raises KeyError, OSError."""
        with self._ground.namespaces.open(self._ground.name(key)) as namespace:
            return namespace.open_socket(family, kind)

    def _in_force(self, key: Key, place: Place) -> str:
        """A fingerprint, or "" when a part that does not outlive its process is missing."""
        if place.kind == "balancer" and self._prober.fingerprint(key) != place.fingerprint:
            return ""
        if place.kind == "filter" and self._labels.read(self._ground.router_named(place.router))[0] != place.fingerprint:
            return ""
        return place.fingerprint

    def _put(self, item: AnyItem) -> None:
        match item:
            case Network():
                place = self._put_network(item)
            case Peering():
                place = self._put_peering(item)
            case Endpoint():
                place = self._put_endpoint(item)
            case ServiceMap():
                place = self._put_services(item)
            case Filter():
                router = self._ground.router_of(item.network)
                filters.put(router, self._labels, item)
                place = Place("filter", item.fingerprint, router.name)
            case Balancer():
                place = self._put_balancer(item)
            case View():
                return self._put_view(item)
            case _:
                raise ValueError(f"{item.key} is a {type(item).__name__}, which is no part of the fabric")
        self._ground.places[item.key] = place
        return None

    def _put_network(self, item: Network) -> Place:
        name = networks.router_name(item.index)
        present = self._ground.places.get(item.key)
        if present is not None and present.router != name:
            self._drop_network(item.key)
        holders = self._ground.of_kind("network", self._ground.within(name))
        if holders == [item.key]:
            networks.update(self._ground.router_named(name), self._ground.edge, item)
        elif holders:
            raise ValueError(f"index {item.index} belongs to {holders[0]}, which is still there")
        else:
            self._ground.give_up(name)
            self._ground.keep_open(networks.create(self._ground.namespaces, self._ground.edge, item))
        return Place("network", item.fingerprint, name)

    def _put_peering(self, item: Peering) -> Place:
        one, other = self._ground.router_of(item.one), self._ground.router_of(item.other)
        if item.key in self._ground.places:
            self._drop_peering(item.key)
        return Place("peering", item.fingerprint, one.name, link=peers.join(one, other, item))

    def _put_endpoint(self, item: Endpoint) -> Place:
        router = self._ground.router_of(item.network)
        present = self._ground.places.get(item.key)
        if present is not None and (present.fingerprint, present.router) == (item.fingerprint, router.name):
            return present
        if present is not None:
            self._drop_endpoints(present.router, [item.key])
        name = endpoint_name(item.key)
        alias = stamps.stamp("endpoint", item.key, item.fingerprint).alias
        with self._ground.namespaces.create(name) as endpoint:
            try:
                endpoint.set_sysctl("net/ipv4/ip_unprivileged_port_start", "0")  # workloads serve low ports without privileges
                index = links.attach(endpoint, router, item.address, alias)
            except BaseException:
                self._ground.namespaces.destroy(name)
                raise
        return Place("endpoint", item.fingerprint, router.name, name, index)

    def _put_services(self, item: ServiceMap) -> Place:
        place = self._ground.place(item.endpoint, "endpoint")
        with self._ground.namespaces.open(place.endpoint) as endpoint:
            services.put(endpoint, item)
        return Place("services", item.fingerprint, place.router, place.endpoint)

    def _put_balancer(self, item: Balancer) -> Place:
        router = self._ground.router_of(item.network)
        present = self._ground.places.get(item.key)
        if present is not None and present.router != router.name:
            self._drop_balancer(item.key)
        held = balancers.put(router, self._ground.edge, item)
        self._prober.watch(router, item, held, functools.partial(balancers.fill, router, item))
        return Place("balancer", item.fingerprint, router.name)

    def _put_view(self, item: View) -> None:
        try:
            name = self._ground.name(item.at)
        except KeyError:
            raise Missing(f"{item.at}, where {item.key} is to be answered, is not there") from None
        at_router = name == networks.EDGE or networks.is_router(name)
        with self._ground.namespaces.open(name) as namespace:
            self._resolvers.serve(namespace, PLATFORM_ADDRESS if at_router else "0.0.0.0", item)

    def _removals(self, keys: Sequence[Key]) -> Iterator[tuple[list[Key], Callable[[], None]]]:
        """What to do and which keys it is for, in an order in which nothing is pulled from under another."""
        verbs: tuple[tuple[Iterable[Key], Callable[[Key], None]], ...] = (
            (keys, self._resolvers.stop),
            (self._ground.of_kind("balancer", keys), self._drop_balancer),
            (self._ground.of_kind("filter", keys), self._drop_filter),
            (self._ground.of_kind("services", keys), self._drop_services),
            (self._ground.of_kind("peering", keys), self._drop_peering),
        )
        for group, verb in verbs:
            for key in group:
                yield [key], functools.partial(verb, key)
        by_router: dict[str, list[Key]] = {}
        for key in self._ground.of_kind("endpoint", keys):
            by_router.setdefault(self._ground.places[key].router, []).append(key)
        for router, endpoints in by_router.items():
            yield endpoints, functools.partial(self._drop_endpoints, router, endpoints)
        for key in self._ground.of_kind("network", keys):
            yield [key], functools.partial(self._drop_network, key)

    def _drop_balancer(self, key: Key) -> None:
        self._prober.forget(key)
        balancers.drop(self._ground.router_named(self._ground.places[key].router), self._ground.edge, key)
        del self._ground.places[key]

    def _drop_peering(self, key: Key) -> None:
        place = self._ground.places[key]
        peers.cut(self._ground.router_named(place.router), place.link)
        del self._ground.places[key]

    def _drop_filter(self, key: Key) -> None:
        filters.drop(self._ground.router_named(self._ground.places[key].router), self._labels)
        del self._ground.places[key]

    def _drop_services(self, key: Key) -> None:
        with self._ground.namespaces.open(self._ground.places[key].endpoint) as endpoint:
            services.drop(endpoint)
        del self._ground.places[key]

    def _drop_endpoints(self, router: str, keys: Sequence[Key]) -> None:
        """Cut them off in one send, then let the kernel take their namespaces apart in its own time."""
        links.detach(self._ground.router_named(router), [self._ground.places[key].link for key in keys])
        for key in keys:
            self._resolvers.stop_at(key)
            name = self._ground.places[key].endpoint
            self._ground.namespaces.destroy(name)
            for gone in [k for k, place in self._ground.places.items() if place.endpoint == name]:
                del self._ground.places[gone]

    def _drop_network(self, key: Key) -> None:
        """A network takes with it whatever is still inside."""
        name = self._ground.places[key].router
        router = self._ground.router_named(name)
        links.publish(self._ground.edge, networks.index_of(router), frozenset())
        inside = self._ground.within(name)
        for balancer in self._ground.of_kind("balancer", inside):
            self._prober.forget(balancer)
        endpoints = self._ground.of_kind("endpoint", inside)
        if endpoints:
            self._drop_endpoints(name, endpoints)
        self._resolvers.stop_at(key)
        self._labels.remove(router)
        self._ground.give_up(name)
        for gone in self._ground.within(name):
            del self._ground.places[gone]


def _failure(item: AnyItem, error: Exception) -> Failure:
    """Azure's code where one fits, and a way out where there is one."""
    if isinstance(error, Unenforceable):
        return Failure(item.key, "NotSupported", f"{error}")
    if isinstance(error, links.AddressTaken) and isinstance(item, Endpoint):
        return Failure(item.key, "PrivateIPAddressIsAllocated", f"{item.address} is held by another endpoint of {item.network}.")
    if isinstance(error, links.AddressTaken):
        return Failure(item.key, "PublicIPAddressInUse", f"A public address of {item.key} is in use: {error}.")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = f"{item.key}: the machine allows no more network namespaces; raise user.max_net_namespaces."
        return Failure(item.key, "InternalServerError", text)
    return Failure(item.key, "InternalServerError", f"{item.key} could not be made: {error}.")
