"""One cluster as its API server sees it: where its nodes and pods are, and what is seen of them.

The only file of this package that knows how clusters are kept; `objects` turns what it
says into Kubernetes' documents. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network
from typing import Any

from ringfence.desired import keys
from ringfence.desired.state import AnyItem, Balancer, Key, Observed, Readiness, State, Workload
from ringfence.model import compute, ml, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import companions, names, places
from ringfence.policy.places import Frontend, Kind, Place


@dataclass(frozen=True)
class Seen:
    """What stands for one pod. item: None while it is not wanted yet."""

    item: AnyItem | None
    observed: Observed | None

    @property
    def current(self) -> bool:
        """Whether what is observed is what is wanted now."""
        return self.item is not None and self.observed is not None and self.observed.fingerprint == self.item.fingerprint

    @property
    def ready(self) -> bool:
        return self.current and self.observed is not None and self.observed.readiness is Readiness.READY


@dataclass(frozen=True)
class Cluster:
    """resource: the managed cluster. owner: the compute whose nodes these are."""

    resource: Resource
    owner: Resource
    snapshot: Snapshot
    state: State
    observed: Mapping[Key, Observed]

    def again(self, snapshot: Snapshot, state: State, observed: Mapping[Key, Observed]) -> Cluster | None:
        """The same cluster in a later snapshot; None when it is gone, or another has its name."""
        resource, owner = snapshot.get(self.resource.id), snapshot.get(self.owner.id)
        if resource is None or owner is None or resource.guid() != self.resource.guid():
            return None
        return Cluster(resource, owner, snapshot, state, observed)

    @property
    def properties(self) -> compute.ManagedCluster:
        assert isinstance(self.resource.properties, compute.ManagedCluster)
        return self.resource.properties

    @property
    def _entra(self) -> Mapping[str, Any]:
        """The cluster's `aadProfile`, {} for none; names as they were sent."""
        found = getattr(self.properties, "aad_profile", None)
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
        return bool(getattr(self.properties, "disable_local_accounts", False))

    @property
    def namespace(self) -> str:
        """Where Azure Machine Learning puts the services of the workspace."""
        return f"azureml-{self.owner.id.parent.name.lower()}"

    @property
    def node_group(self) -> str:
        return self.properties.node_resource_group

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the API server, in lower case, the one for clients of its network first."""
        return (self.properties.fqdn.lower(),)

    @property
    def api_address(self) -> str:
        return self.snapshot.value(self.owner.key, places.API_SERVER) or ""

    @property
    def kubernetes_address(self) -> str:
        """Where pods find the API server: the first address of the service range."""
        return str(IPv4Network(self.properties.network_profile.service_cidr)[1])

    @property
    def dns_address(self) -> str:
        return self.properties.network_profile.dns_service_ip

    @cached_property
    def places(self) -> tuple[Place, ...]:
        return tuple(place for place in places.places(self.snapshot) if place.cluster == self.owner.key)

    @property
    def nodes(self) -> tuple[Place, ...]:
        return tuple(place for place in self.places if place.kind is Kind.NODE)

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
            if places.compute_of(service) == self.owner.id:
                assert isinstance(service.properties, serving.Service)
                here = tuple(p for p in self.places if p.kind is Kind.REPLICA and p.owner == service.key)
                yield service, service.properties, here

    def node_of(self, address: str) -> int | None:
        """The number of the node that holds an address for its pods."""
        return self._holders.get(address)

    @cached_property
    def _holders(self) -> Mapping[str, int]:
        found = {}
        for place in self.nodes:
            for pod in range(compute.MAX_PODS):
                address = self.snapshot.value(place.owner, places.reserved(place.number, pod))
                if address is not None:
                    found[address] = place.number
        return found

    def seen(self, key: Key) -> Seen:
        return Seen(self.state.items.get(key), self.observed.get(key))

    def replica(self, place: Place) -> Seen:
        return self.seen(keys.pod(place.owner, place.number))

    def router_seen(self) -> Seen:
        return self.seen(keys.router(self.owner.key))

    def resolver_seen(self) -> Seen:
        return self.seen(keys.cluster_view(self.owner.key))

    @cached_property
    def frontend(self) -> Frontend | None:
        return next((f for f in places.frontends(self.snapshot) if f.cluster == self.owner.key), None)

    def frontend_ports(self) -> tuple[tuple[int, bool], ...]:
        """The ports of the frontend, each with whether it is programmed."""
        address = self.frontend.address if self.frontend is not None else ""
        found = [item for item in self.state if isinstance(item, Balancer) and item.address == address]
        return tuple(sorted((item.port, self.seen(item.key).ready) for item in found))

    def frontend_subnet(self) -> str:
        """The subnet that an internal frontend was asked to be in; "" for the nodes' own."""
        assert isinstance(self.owner.properties, ml.Compute)
        return self.owner.properties.properties.load_balancer_subnet or ""

    def log_key(self, place: Place) -> Key | None:
        """The item whose output a pod's log is; None for a pod that prints nothing."""
        match place.kind:
            case Kind.REPLICA:
                return keys.pod(place.owner, place.number)
            case Kind.ROUTER:
                return keys.router(self.owner.key)
            case _:
                return None


def template_hash(seen: Seen) -> str:
    """Equal for the replicas of one version of a workload, whatever node and address they have."""
    item = seen.item
    if isinstance(item, Workload):
        return keys.content(repr((item.environment, item.bundle, item.variables, item.cpu, item.memory_mb, item.nonce)))
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
    for owner in places.alive(snapshot, ml.COMPUTE):
        resource = names.cluster_of(snapshot, owner)
        if resource is None:
            continue
        found = Cluster(resource, owner, snapshot, state, observed)
        if resource.id == id or host in found.hosts or (address and found.api_address == address):
            return found
    return None


def node_name(cluster: Cluster, number: int) -> str:
    """As AKS names the instances of a scale set: six digits of base 36."""
    pool = cluster.properties.pool.name
    digits = companions.managed_rules_id(cluster.owner).name.split("-")[2]
    return f"aks-{pool}-{digits}-vmss{_base36(number):0>6}"


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while True:
        number, rest = divmod(number, 36)
        text = digits[rest] + text
        if not number:
            return text
