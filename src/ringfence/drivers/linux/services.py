"""Service maps: the virtual addresses of a cluster, translated where its pods send them from.

What kube-proxy does on a node is done in each pod's namespace, on output, so that rules
see the pod's own address and the target's. An address of the range that no service has
is refused at once.
"""

from __future__ import annotations

from ringfence.desired.state import ServiceMap
from ringfence.drivers.linux.namespaces import Namespace
from ringfence.drivers.linux.stamps import TABLE, in_chains, stamp


def put(endpoint: Namespace, item: ServiceMap) -> None:
    """One transaction; connections made before go on. Raises NftError."""
    stale = [found.chain for found in in_chains(endpoint.chains(TABLE)) if found.kind == "services"]
    targets = [f"{s.address} . {s.protocol} . {s.port} : {s.target} . {s.target_port}" for s in item.services]
    lines = [
        f"add table ip {TABLE}",
        *(f"delete chain ip {TABLE} {name}" for name in stale),
        f"add map ip {TABLE} services {{ type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }}",
        f"flush map ip {TABLE} services",
        f"add chain ip {TABLE} translate {{ type nat hook output priority -100; policy accept; }}",
        f"flush chain ip {TABLE} translate",
        f"add rule ip {TABLE} translate ip daddr {item.range} meta l4proto {{ tcp, udp }}"
        " dnat ip to ip daddr . meta l4proto . th dport map @services",
        f"add chain ip {TABLE} refuse {{ type filter hook output priority 0; policy accept; }}",
        f"flush chain ip {TABLE} refuse",
        f"add rule ip {TABLE} refuse ip daddr {item.range} reject with icmp type port-unreachable",
    ]
    if targets:
        lines.append(f"add element ip {TABLE} services {{ {', '.join(targets)} }}")
    lines.append(f"add chain ip {TABLE} {stamp('services', item.key, item.fingerprint).chain}")
    endpoint.nft.run("\n".join(lines))


def drop(endpoint: Namespace) -> None:
    """Remove the map; the range then leads nowhere."""
    endpoint.nft.run(f"add table ip {TABLE}\ndelete table ip {TABLE}")
