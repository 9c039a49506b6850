"""What each API server shows to those who dial its address: the names that its certificate holds, and whose it takes."""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.api.kubernetes.keys import Keys
from ringfence.api.tls import Plate
from ringfence.model import compute
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import api_servers, names, places

#: As pods call it: by the search list of their resolver, and in full.
_INSIDE = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{names.CLUSTER_DOMAIN}")


def plates(snapshot: Snapshot, keys: Keys) -> Mapping[str, Plate]:
    """By the address of each API server."""
    found = {}
    for cluster in places.alive(snapshot, compute.MANAGED_CLUSTER):
        address = snapshot.value(cluster.key, places.API_SERVER)
        if address is not None:
            found[address] = _plate(cluster, address, keys)
    return found


def _plate(cluster: Resource, address: str, keys: Keys) -> Plate:
    addresses = (names.kubernetes_address(cluster), address)
    name, *further = api_servers.hosts(cluster)
    return Plate(name=name, also=(*further, *_INSIDE), addresses=addresses, clients=keys.authority(cluster))
