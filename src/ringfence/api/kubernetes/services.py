"""Services with the addresses they have, and the endpoints behind them.

A scoring service's own address leads to the inference router, where its keys are checked
(docs/adr/0007), so that is what its endpoints show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ringfence.api.kubernetes import pods
from ringfence.api.kubernetes.cluster import Cluster, Seen
from ringfence.api.kubernetes.metadata import about
from ringfence.model.resource import Resource
from ringfence.policy import endpoints
from ringfence.policy.places import Place

Document = dict[str, Any]
Port = tuple[str, int, str]

#: What tells AKS that a frontend shall have a private address (RULES.md section 4.3).
INTERNAL = "service.beta.kubernetes.io/azure-load-balancer-internal"


def everything(cluster: Cluster) -> Iterator[Document]:
    yield from _kubernetes(cluster)
    yield from _resolver(cluster)
    yield from _front_end(cluster)
    routed = _targets(cluster, cluster.router, cluster.router_seen())
    port = _router_ports(cluster)
    for service, _, _ in cluster.services():
        address = cluster.cluster_ip(service)
        if address is not None:
            name = service.id.name.lower()
            yield _service(service, name, cluster.namespaces[0], address, port, {"azuremlappname": name})
            yield from _endpoints(service, name, cluster.namespaces[0], port, routed)


def _kubernetes(cluster: Cluster) -> Iterator[Document]:
    source, port = cluster.resource, (("https", 443, "TCP"),)
    yield _service(source, "kubernetes", "default", cluster.kubernetes_address, port, {})
    if cluster.api_address:
        yield from _endpoints(source, "kubernetes", "default", port, ({"ip": cluster.api_address, "ready": True},))


def _resolver(cluster: Cluster) -> Iterator[Document]:
    ports = (("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"))
    yield _service(cluster.resource, "kube-dns", "kube-system", cluster.dns_address, ports, {"k8s-app": "kube-dns"})
    targets = _targets(cluster, cluster.resolver, cluster.resolver_seen())
    yield from _endpoints(cluster.resource, "kube-dns", "kube-system", ports, targets)


def _front_end(cluster: Cluster) -> Iterator[Document]:
    """The inference router behind the cluster's load balancer."""
    user, frontend = cluster.user, cluster.frontend
    address = cluster.cluster_ip(user) if user is not None else None
    if user is None or address is None or frontend is None:
        return
    ports = _router_ports(cluster)
    found = _service(user, pods.ROUTER, "default", address, ports, {"azuremlappname": pods.ROUTER})
    found["spec"] |= {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "externalTrafficPolicy": "Cluster"}
    if not frontend.public:
        annotations = {INTERNAL: "true"}
        if subnet := cluster.frontend_subnet():
            annotations[f"{INTERNAL}-subnet"] = subnet
        found["metadata"]["annotations"] = annotations
    if cluster.frontend_ready():
        found["status"] = {"loadBalancer": {"ingress": [{"ip": frontend.address, "ipMode": "VIP"}]}}
    yield found
    targets = _targets(cluster, cluster.router, cluster.router_seen())
    yield from _endpoints(user, pods.ROUTER, "default", ports, targets)


def _router_ports(cluster: Cluster) -> tuple[Port, ...]:
    """The one port of the frontend: with a certificate it is 443."""
    number = cluster.frontend.port if cluster.frontend is not None else endpoints.HTTP_PORT
    return (("https" if number == endpoints.HTTPS_PORT else "http", number, "TCP"),)


def _service(
    source: Resource, name: str, namespace: str, address: str, ports: tuple[Port, ...], selector: Mapping[str, str]
) -> Document:
    spec: Document = {
        "type": "ClusterIP",
        "clusterIP": address,
        "clusterIPs": [address],
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "ports": [{"name": n, "port": number, "targetPort": number, "protocol": protocol} for n, number, protocol in ports],
    }
    if selector:
        spec["selector"] = dict(selector)
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": about(source, "Service", name, namespace, selector),
        "spec": spec,
        "status": {"loadBalancer": {}},
    }


def _targets(cluster: Cluster, place: Place | None, seen: Seen) -> tuple[Document, ...]:
    if place is None:
        return ()
    found: Document = {"ip": place.address, "ready": seen.ready}
    for group in pods.groups(cluster):
        if any(member is place or member == place for member, _ in group.members):
            name = group.pod_name(place)
            uid = group.source.guid(f"Pod/{group.namespace}/{name}")
            found["targetRef"] = {"kind": "Pod", "namespace": group.namespace, "name": name, "uid": uid}
    return (found,)


def _endpoints(
    source: Resource, name: str, namespace: str, ports: tuple[Port, ...], targets: tuple[Document, ...]
) -> Iterator[Document]:
    shown = [{"name": n, "port": number, "protocol": protocol} for n, number, protocol in ports]
    subset: Document = {"ports": shown}
    for word, ready in (("addresses", True), ("notReadyAddresses", False)):
        members = [{k: v for k, v in target.items() if k != "ready"} for target in targets if target["ready"] is ready]
        if members:
            subset[word] = members
    yield {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": about(source, "Endpoints", name, namespace),
        "subsets": [subset] if targets else [],
    }
    slice_name = f"{name}-{pods.spelled(f'{source.guid()}|{name}', 5)}"
    yield {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": about(source, "EndpointSlice", slice_name, namespace, {"kubernetes.io/service-name": name}),
        "addressType": "IPv4",
        "ports": shown,
        "endpoints": [
            {
                "addresses": [target["ip"]],
                "conditions": {"ready": target["ready"], "serving": target["ready"], "terminating": False},
            }
            | ({"targetRef": target["targetRef"]} if "targetRef" in target else {})
            for target in targets
        ],
    }
