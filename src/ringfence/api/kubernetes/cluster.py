"""One cluster as its API server sees it: where its nodes and pods are, and what is seen of them.

The only file of this package that knows how clusters are kept; `objects` turns what it
says into Kubernetes' documents. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ringfence.desired import keys
from ringfence.desired.state import AnyItem, Balancer, Key, Observed, Readiness, State, Workload
from ringfence.model import compute, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import api_servers, clusters, companions, names, places
from ringfence.policy.places import Frontend, Kind, Place


@dataclass(frozen=True)
class Seen:
    """What stands for one pod. item: None while it is not wanted yet."""

    item: AnyItem | None
    observed: Observed | None
    #: Why it cannot begin, while something that it needs has failed.
    held: Observed | None = None

    @property
    def current(self) -> bool:
        """Whether what is observed is what is wanted now."""
        return self.item is not None and self.observed is not None and self.observed.fingerprint == self.item.fingerprint

    @property
    def ready(self) -> bool:
        return self.current and self.observed is not None and self.observed.readiness is Readiness.READY


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """pool: the agent pool it is of. number: in the pool."""

    name: str
    address: str
    pool: Resource
    number: int


@dataclass(frozen=True)
class Cluster:
    """resource: the managed cluster. user: the compute that is attached to it, None without a workspace."""

    resource: Resource
    user: Resource | None
    snapshot: Snapshot
    state: State
    observed: Mapping[Key, Observed]

    def again(self, snapshot: Snapshot, state: State, observed: Mapping[Key, Observed]) -> Cluster | None:
        """The same cluster in a later snapshot; None when it is gone, or another has its name."""
        found = find(snapshot, state, observed, id=self.resource.id)
        return found if found is not None and found.resource.guid() == self.resource.guid() else None

    @property
    def properties(self) -> compute.ManagedCluster:
        return clusters.of(self.resource)

    @property
    def _entra(self) -> Mapping[str, Any]:
        """The cluster's `aadProfile`, {} for none; names as they were sent."""
        found = self.properties.aad_profile
        return {name.lower(): value for name, value in found.items()} if isinstance(found, Mapping) else {}

    @property
    def entra(self) -> bool:
        """Whether people and applications of Entra may come in."""
        return bool(self._entra)

    @property
    def azure_rbac(self) -> bool:
        """Whether role assignments of Azure decide what they may do."""
        return self._entra.get("enableazurerbac") is True

    @property
    def admin_groups(self) -> frozenset[str]:
        """Object ids of the groups whose members administrate the cluster."""
        found = self._entra.get("admingroupobjectids") or ()
        return frozenset(str(group).lower() for group in found)

    @property
    def local_accounts_disabled(self) -> bool:
        return bool(self.properties.disable_local_accounts)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where Azure Machine Learning puts the services of the workspace that uses the cluster."""
        return () if self.user is None else (clusters.namespace(self.user.id.parent),)

    @property
    def node_group(self) -> ResourceId:
        return companions.node_group(self.resource)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the API server, in lower case, the one for clients of its network first."""
        return api_servers.hosts(self.resource)

    @property
    def api_address(self) -> str:
        return self.snapshot.value(self.resource.key, places.API_SERVER) or ""

    @property
    def kubernetes_address(self) -> str:
        """Where pods find the API server: the first address of the service range."""
        return names.kubernetes_address(self.resource)

    @property
    def dns_address(self) -> str:
        return self.properties.dns_service_ip

    @cached_property
    def places(self) -> tuple[Place, ...]:
        return tuple(place for place in places.places(self.snapshot) if place.cluster == self.resource.key)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """In the order of pools and numbers."""
        return tuple(self._node(place) for place in self.places if place.kind is Kind.NODE)

    def _node(self, place: Place) -> Node:
        pool = self.snapshot.need(place.owner)
        name = clusters.node_name(self.resource, pool.id.name, place.number)
        return Node(name=name, address=place.address, pool=pool, number=place.number)

    def node_of(self, address: str) -> Node | None:
        """The node that holds an address for its pods."""
        return self._holders.get(address)

    @cached_property
    def _holders(self) -> Mapping[str, Node]:
        found: dict[str, Node] = {}
        for node in self.nodes:
            purposes = frozenset(places.reserved(node.number, pod) for pod in range(clusters.pool(node.pool).max_pods))
            found |= {a.value: node for a in self.snapshot.allocated(node.pool.id) if a.purpose in purposes}
        return found

    @property
    def router(self) -> Place | None:
        return next((place for place in self.places if place.kind is Kind.ROUTER), None)

    @property
    def resolver(self) -> Place | None:
        return next((place for place in self.places if place.kind is Kind.RESOLVER), None)

    def cluster_ip(self, owner: Resource) -> str | None:
        """The address of the service range that a service, or the router (by the compute), has."""
        return self.snapshot.value(owner.key, places.CLUSTER_IP)

    def services(self) -> Iterator[tuple[Resource, serving.Service, tuple[Place, ...]]]:
        """Each scoring service with the places of its replicas."""
        for service in places.alive(self.snapshot, serving.SERVICE):
            if self.user is not None and places.compute_of(service) == self.user.id:
                assert isinstance(service.properties, serving.Service)
                here = tuple(p for p in self.places if p.kind is Kind.REPLICA and p.owner == service.key)
                yield service, service.properties, here

    def seen(self, key: Key) -> Seen:
        return Seen(self.state.items.get(key), self.observed.get(key))

    def replica(self, place: Place) -> Seen:
        seen = self.seen(keys.pod(place.owner, place.number))
        image = self.observed.get(seen.item.image) if isinstance(seen.item, Workload) else None
        held = image is not None and image.readiness is Readiness.FAILED and not seen.current
        return Seen(seen.item, seen.observed, image if held else None)

    def router_seen(self) -> Seen:
        return self.seen(keys.router(self.user.key)) if self.user is not None else Seen(None, None)

    def resolver_seen(self) -> Seen:
        return self.seen(keys.cluster_view(self.resource.key))

    @cached_property
    def frontend(self) -> Frontend | None:
        return next((f for f in places.frontends(self.snapshot) if f.cluster == self.resource.key), None)

    def frontend_ready(self) -> bool:
        """Whether the load balancer stands as wanted."""
        address = self.frontend.address if self.frontend is not None else ""
        found = [item.key for item in self.state if isinstance(item, Balancer) and item.address == address]
        return bool(found) and all(self.seen(key).ready for key in found)

    def frontend_subnet(self) -> str:
        """The subnet that an internal frontend was asked to be in; "" for the nodes' own."""
        return "" if self.user is None else clusters.aks(self.user).load_balancer_subnet or ""

    def log_key(self, place: Place) -> Key | None:
        """The item whose output a pod's log is; None for a pod that prints nothing."""
        match place.kind:
            case Kind.REPLICA:
                return keys.pod(place.owner, place.number)
            case Kind.ROUTER:
                return keys.router(place.owner)
            case _:
                return None


def template_hash(seen: Seen) -> str:
    """Equal for the replicas of one version of a workload, whatever node and address they have."""
    item = seen.item
    if isinstance(item, Workload):
        return keys.content(repr((item.image, item.bundle, item.variables, item.cpu, item.memory_mb, item.nonce)))
    return keys.content(type(item).__name__)


def find(
    snapshot: Snapshot,
    state: State,
    observed: Mapping[Key, Observed],
    *,
    id: ResourceId | None = None,
    host: str = "",
    address: str = "",
) -> Cluster | None:
    """The cluster of this id, or whose API server has this name, or this address; None where there is none."""
    for resource in places.alive(snapshot, compute.MANAGED_CLUSTER):
        found = Cluster(resource, clusters.compute_of(snapshot, resource), snapshot, state, observed)
        if resource.id == id or host in found.hosts or (address and found.api_address == address):
            return found
    return None
