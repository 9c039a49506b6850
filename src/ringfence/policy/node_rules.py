"""The rules AKS keeps on the interfaces of a cluster's own nodes and pods, and the names it gives inside.

They stand in a network security group of the node resource group (RULES.md section 4.3);
the user's group on the subnet is judged as well, and never edited.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from ringfence.model.network import Protocol
from ringfence.policy import places, rules, tags

_TOP, _BOTTOM = 500, 4096


def of_nodes(frontend: str | None, port: int, space: Iterable[IPv4Network]) -> rules.Rules:
    """For nodes and the cluster's own pods. frontend, port: of the public load balancer, opened for the internet."""
    inside = tuple(sorted(space))
    defaults = rules.default_rules(inside)
    if frontend is None:
        return defaults
    opened = rules.EffectiveRule(
        name=f"k8s-azure-lb_allow_IPv4_{frontend.replace('.', '_')}",
        priority=_TOP,
        protocol=Protocol.TCP,
        sources=tags.resolve("Internet", inside),
        destinations=(IPv4Network(frontend),),
        destination_ports=((port, port),),
        allow=True,
    )
    return dataclasses.replace(defaults, inbound=(opened, *defaults.inbound))


def of_replicas(cluster: Iterable[str], space: Iterable[IPv4Network]) -> rules.Rules:
    """For scoring processes: only the cluster's own nodes and router come in, so that keys cannot be walked around."""
    inside = tuple(sorted(space))
    defaults = rules.default_rules(inside)
    own = tuple(collapse_addresses(IPv4Network(IPv4Address(address)) for address in cluster))
    port = (places.SCORING_PORT, places.SCORING_PORT)
    opened = rules.EffectiveRule(
        name="AllowClusterInBound",
        priority=_TOP,
        protocol=Protocol.TCP,
        sources=(*own, tags.PLATFORM),
        destination_ports=(port,),
        allow=bool(own),
    )
    closed = rules.rule("DenyOtherInBound", _BOTTOM, allow=False)
    return dataclasses.replace(defaults, inbound=(opened, closed, *defaults.inbound))
