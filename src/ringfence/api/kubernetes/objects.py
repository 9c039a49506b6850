"""What a cluster holds, as Kubernetes' objects: everything that follows from the snapshot and is seen of it. Pure.

Nodes and namespaces are here; `pods` and `services` have their own files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ringfence.api.kubernetes import pods, services
from ringfence.api.kubernetes.cluster import Cluster, Node
from ringfence.api.kubernetes.metadata import about, moment
from ringfence.model.compute import KUBERNETES_VERSION
from ringfence.policy import clusters, sizes

Document = dict[str, Any]

_SYSTEM = ("default", "kube-node-lease", "kube-public", "kube-system")
#: CPU that AKS keeps for the system, in thousandths, by the cores of a node (AKS: node reservations).
_KEPT_CPU = {1: 60, 2: 100, 4: 140, 8: 180, 16: 260, 32: 420, 64: 740}
_MI = 1024 * 1024


def everything(cluster: Cluster, ca: str) -> Iterator[Document]:
    """Every object of a cluster. ca: PEM of who signs its server certificate."""
    yield from _namespaces(cluster, ca)
    for node in cluster.nodes:
        yield _node(cluster, node)
    yield from pods.everything(cluster)
    yield from services.everything(cluster)


def _namespaces(cluster: Cluster, ca: str) -> Iterator[Document]:
    for name in (*_SYSTEM, *cluster.namespaces):
        yield {
            "kind": "Namespace",
            "apiVersion": "v1",
            "metadata": about(cluster.resource, "Namespace", name, labels={"kubernetes.io/metadata.name": name}),
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        yield {
            "kind": "ServiceAccount",
            "apiVersion": "v1",
            "metadata": about(cluster.resource, "ServiceAccount", "default", name),
        }
        yield {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": about(cluster.resource, "ConfigMap", "kube-root-ca.crt", name),
            "data": {"ca.crt": ca},
        }


def _node(cluster: Cluster, node: Node) -> Document:
    name, pool_name, pool = node.name, node.pool.id.name, clusters.pool(node.pool)
    size = sizes.size(pool.vm_size) or sizes.Size(2, 4)
    since = moment(node.pool.created_at)
    labels = {
        "agentpool": pool_name,
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.azure.com/agentpool": pool_name,
        "kubernetes.azure.com/cluster": cluster.node_group.name,
        "kubernetes.azure.com/mode": pool.mode.lower(),
        "kubernetes.azure.com/role": "agent",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": pool.vm_size,
        "topology.kubernetes.io/region": cluster.resource.region,
    }
    scale_set = f"{cluster.node_group}/providers/Microsoft.Compute"
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": about(node.pool, "Node", name, labels=labels),
        "spec": {"providerID": f"azure://{scale_set}/virtualMachineScaleSets/{name[:-6]}/virtualMachines/{node.number}"},
        "status": {
            "capacity": _capacity(size, pool.max_pods),
            "allocatable": _allocatable(size, pool.max_pods),
            "conditions": [
                _condition("MemoryPressure", "False", "KubeletHasSufficientMemory", since),
                _condition("DiskPressure", "False", "KubeletHasNoDiskPressure", since),
                _condition("PIDPressure", "False", "KubeletHasSufficientPID", since),
                _condition("Ready", "True", "KubeletReady", since),
            ],
            "addresses": [{"type": "InternalIP", "address": node.address}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "kubeletVersion": f"v{KUBERNETES_VERSION}",
                "kubeProxyVersion": "",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "osImage": "Ringfence",
                "kernelVersion": "",
                "containerRuntimeVersion": "ringfence://embedded",
                "machineID": "",
                "systemUUID": node.pool.guid(f"node/{node.number}"),
                "bootID": "",
            },
        },
    }


def _capacity(size: sizes.Size, pods: int) -> Mapping[str, str]:
    return {"cpu": str(size.cores), "memory": f"{int(size.memory_gb * 1024) * 1024}Ki", "pods": str(pods)}


def _allocatable(size: sizes.Size, pods: int) -> Mapping[str, str]:
    """What is left for pods: AKS keeps CPU by a table, and 20 MB for each pod and 50 MB, at most a quarter, of memory."""
    memory = int(size.memory_gb * 1024 * _MI)
    kept = min(20 * _MI * pods + 50 * _MI, memory // 4)
    cpu = next(kept_cpu for cores, kept_cpu in reversed(_KEPT_CPU.items()) if cores <= size.cores)
    return {"cpu": f"{size.cores * 1000 - cpu}m", "memory": f"{(memory - kept - 100 * _MI) // 1024}Ki", "pods": str(pods)}


def _condition(type: str, status: str, reason: str, since: str) -> Document:
    return {"type": type, "status": status, "reason": reason, "lastTransitionTime": since, "lastHeartbeatTime": since}
