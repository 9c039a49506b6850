"""The consequence of everything: one `State` from one snapshot. It depends on the snapshot and on nothing else."""

from __future__ import annotations

from ringfence.desired import balancing, compute, containers, dns, ml, network, paths, service_groups
from ringfence.desired.state import AnyItem, Refusal, State
from ringfence.model.resource import Snapshot
from ringfence.policy import cluster_access, places


def build(snapshot: Snapshot) -> State:
    """Everything that shall exist. Resources that are being deleted want nothing any more."""
    everyone = tuple(sorted(places.places(snapshot), key=lambda place: (place.owner, place.kind.value, place.number)))
    found: list[AnyItem] = [
        *network.networks(snapshot),
        *paths.peerings(snapshot),
        *network.endpoints(snapshot, everyone),
        *compute.service_maps(snapshot, everyone),
        *network.filters(snapshot, everyone),
        *compute.balancers(snapshot),
        *balancing.balancers(snapshot),
        *dns.views(snapshot, everyone),
        *ml.items(snapshot, everyone),
        *containers.items(snapshot, everyone),
        *service_groups.items(snapshot, everyone),
    ]
    refused = {key: Refusal(why.code, why.message) for key, why in cluster_access.refusals(snapshot).items()}
    return State.of(found, refused)
