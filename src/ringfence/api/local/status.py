"""What `ringfence status` shows: networks, clusters, services, locations, operations. Flat rows, for people and for machines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from ringfence.api.local.locations import Locations
from ringfence.api.ml import service_documents
from ringfence.control import judgement
from ringfence.control.engine import Engine
from ringfence.desired import keys
from ringfence.desired.state import Workload
from ringfence.model import ml, network, serving
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import clusters, places

Row = Mapping[str, Any]


class Status:
    """started: when this process did. enforced: whether packets really pass or drop by the rules."""

    def __init__(self, engine: Engine, locations: Locations, *, version: str, started: dt.datetime, enforced: bool) -> None:
        self._engine = engine
        self._locations = locations
        self._version = version
        self._started = started
        self._enforced = enforced

    def document(self) -> Row:
        snapshot = self._engine.snapshot()
        return {
            "version": self._version,
            "uptimeS": round((self._engine.clock() - self._started).total_seconds(), 1),
            "enforced": self._enforced,
            "settled": self._engine.settled,
            "networks": [self._network(r) for r in snapshot.of_type(network.VIRTUAL_NETWORK)],
            "clusters": [self._cluster(r) for r in snapshot.of_type(ml.COMPUTE)],
            "services": [self._service(r) for r in snapshot.of_type(serving.SERVICE)],
            "locations": [name for name, _ in self._locations.names()],
            "operations": [
                {"kind": o.kind.value, "resource": str(o.resource_id), "since": o.created_at.isoformat(timespec="seconds")}
                for o in self._engine.pending()
            ],
        }

    def _network(self, vnet: Resource) -> Row:
        assert isinstance(vnet.properties, network.VirtualNetwork)
        subnets = [child.id.name for child in self._engine.snapshot().children(vnet.id) if child.type == network.SUBNET]
        return {
            "name": vnet.id.name,
            "state": vnet.state.value,
            "addressSpace": list(vnet.properties.prefixes),
            "subnets": subnets,
            "egress": self._engine.snapshot().value(vnet.id, places.EGRESS) or "",
            "id": str(vnet.id),
        }

    def _cluster(self, compute: Resource) -> Row:
        snapshot, asked = self._engine.snapshot(), clusters.aks(compute)
        cluster, down = clusters.cluster_of(snapshot, compute), self._engine.endpoint_fault(compute.id)
        return {
            "name": compute.id.name,
            "state": compute.state.value,
            "loadBalancer": asked.load_balancer_type.value,
            "frontend": places.frontend_address(snapshot, compute) or "",
            "nodes": clusters.node_count(snapshot, cluster) if cluster is not None else 0,
            "endpoint": "up" if down is None else "down",
            **({} if down is None else {"fault": down.message}),
            "id": str(compute.id),
        }

    def _service(self, service: Resource) -> Row:
        return {
            "name": service.id.name,
            "state": self._health(service),
            "scoringUri": service_documents.scoring_uri(self._engine.snapshot(), service) or "",
            "id": str(service.id),
        }

    def _health(self, service: Resource) -> str:
        """What the resource says, and Unhealthy when nobody reaches a sound one or a replica of it is not ready now."""
        down = self._engine.endpoint_fault(places.compute_of(service))
        said = service_documents.state(service, self._engine.latest(service.id), down)
        if service.state is not ProvisioningState.SUCCEEDED:
            return said
        observed = self._engine.observed()
        assert isinstance(service.properties, serving.Service)
        routed = {keys.pod(service.key, number) for number in range(service.properties.routed)}
        replicas = [item for item in self._engine.state() if isinstance(item, Workload) and item.key in routed]
        return said if all(judgement.stands(item, observed.get(item.key)) for item in replicas) else "Unhealthy"
