"""What each resolver answers: the public names everywhere, a cluster's own names inside the cluster.

Which names exist and where they lead is `policy.names`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ringfence.desired import keys
from ringfence.desired.network import owners
from ringfence.desired.state import INTERNET, Record, View
from ringfence.model import balancing as balancing_nouns
from ringfence.model import compute, ml, network, registry, storage
from ringfence.model.resource import Snapshot
from ringfence.policy import balancing, names, places
from ringfence.policy.places import Kind, Place

#: Types whose resources have public names.
_NAMED = (
    ml.WORKSPACE,
    compute.MANAGED_CLUSTER,
    storage.STORAGE_ACCOUNT,
    balancing_nouns.PUBLIC_ADDRESS,
    registry.REGISTRY,
)


def views(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[View]:
    """One view for the internet, one for each virtual network, one for each cluster's resolver."""
    everywhere = {**names.hosts(snapshot), **names.scoring(snapshot), **balancing.names(snapshot)}
    public = tuple(Record(name=name, kind="A", values=(address,)) for name, address in sorted(everywhere.items()))
    named = sorted(r.key for type in _NAMED for r in places.alive(snapshot, type))
    yield View(key="dns/internet", owners=tuple(named), at=INTERNET, records=public)
    for vnet in places.alive(snapshot, network.VIRTUAL_NETWORK):
        if snapshot.value(vnet.id, places.INDEX) is not None:
            yield View(key=keys.view(vnet.key), owners=(vnet.key,), at=keys.network(vnet.key), records=public)
    for place in everyone:
        if place.kind is Kind.RESOLVER:
            inside = tuple(
                Record(name=name, kind="A", values=(address,))
                for name, address in sorted(names.inside_cluster(snapshot, snapshot.need(place.owner)).items())
            )
            concerned = owners(snapshot, place)
            yield View(key=keys.cluster_view(place.owner), owners=concerned, at=keys.endpoint(place), records=inside + public)
