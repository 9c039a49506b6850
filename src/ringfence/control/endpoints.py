"""Whether a cluster's scoring endpoint is up, as the load balancer's probes see it, and who is to blame when it is not.

A probe is a packet like any other: a rule that denies `AzureLoadBalancer` takes the endpoint
down (RULES.md section 2). Which packets pass is `policy.reach`'s; what probes found is the driver's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.desired import keys
from ringfence.desired.state import Key
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import places, reach

#: For so long after a change nobody is blamed for probes that have not been answered yet.
_PATIENCE = dt.timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an endpoint is down, with the way out."""

    code: str
    message: str


def fault(snapshot: Snapshot, health: Mapping[Key, Mapping[str, bool]], compute: Resource, now: dt.datetime) -> Fault | None:
    """None: the endpoint of this compute is up, or not there yet. health: of every balancer, as `Engine.health` tells it."""
    frontend = next((one for one in places.frontends(snapshot) if one.owner == compute.key), None)
    if frontend is None or compute.state not in (ProvisioningState.SUCCEEDED, ProvisioningState.UPDATING):
        return None
    seen = health.get(keys.balancer(compute.key, public=frontend.public, port=frontend.port), {})
    if not seen or any(seen.values()):
        return None
    where = f"the scoring endpoint of '{compute.id.name}' ({frontend.address}:{frontend.port})"
    found = reach.probe(snapshot, frontend)
    if found.verdict is reach.Verdict.DENIED_INBOUND:
        group, _, rule = found.steps[-1].by.partition(": ")
        known = snapshot.get(group)
        return Fault(
            "LoadBalancerProbeBlocked",
            f"No new connection reaches {where}: the inbound rule '{rule}' of the network security group "
            f"{group if known is None else known.id} denies the load balancer's health probes (from 168.63.129.16 to port "
            f"{frontend.port}). Allow the source tag AzureLoadBalancer in an inbound rule of a higher priority, or remove "
            f"'{rule}'.",
        )
    if now - compute.changed_at < _PATIENCE:
        return None
    return Fault("LoadBalancerProbeFailed", f"No new connection reaches {where}: the inference router answers no health probe.")
