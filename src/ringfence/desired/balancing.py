"""The user's own load balancers as balancers of the fabric, and the public addresses that single interfaces have.

Which frontend leads where is `policy.balancing`. The load balancers of clusters are in `compute`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.desired import keys
from ringfence.desired.state import Balancer, Target
from ringfence.model import ml
from ringfence.model.resource import Snapshot
from ringfence.policy import balancing, clusters, places


def balancers(snapshot: Snapshot) -> Iterator[Balancer]:
    """One for each rule that has members."""
    for spread in balancing.spreads(snapshot):
        port, path, interval, threshold = spread.probe or (0, None, 5.0, 1)
        yield Balancer(
            key=keys.user_balancer(spread.balancer, spread.rule),
            owners=tuple(sorted({spread.balancer, *spread.members})),
            network=keys.network(spread.vnet.key),
            address=spread.address,
            port=spread.port,
            protocol=spread.protocol,
            public=spread.public,
            floating=False,
            targets=tuple(Target(address=address, port=spread.target_port) for address in spread.targets),
            by_source=spread.by_source,
            probe_port=port,
            probe_path=path,
            probe_interval_s=interval,
            probe_threshold=threshold,
        )


def owned(snapshot: Snapshot) -> dict[str, tuple[tuple[tuple[str, str], ...], tuple[str, ...]]]:
    """By key of the virtual network: the pairs of public and private address, and whose operations wait for them."""
    found: dict[str, list[balancing.Own]] = {}
    for one in balancing.owned(snapshot):
        found.setdefault(one.vnet.key, []).append(one)
    return {
        vnet: (
            tuple(sorted((one.address, one.private) for one in ones)),
            tuple(sorted({key for one in ones for key in (one.public_address, one.interface)})),
        )
        for vnet, ones in found.items()
    }


def kept(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """By key of the virtual network: public addresses of clusters that changed to an internal load balancer.

    The address stays the cluster's. What was connected to it goes on (azure-docs#64948); nothing new is answered there.
    """
    found: dict[str, list[str]] = {}
    for owner in places.alive(snapshot, ml.COMPUTE):
        address, cluster = snapshot.value(owner.key, places.PUBLIC_FRONTEND), clusters.cluster_of(snapshot, owner)
        if address is not None and cluster is not None and clusters.aks(owner).internal:
            found.setdefault(clusters.nodes_subnet(snapshot, cluster).parent.key, []).append(address)
    return {vnet: tuple(sorted(addresses)) for vnet, addresses in found.items()}
