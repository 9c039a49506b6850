"""Host names of the services, and the address each has: what resolvers answer and what `api/hosts` routes by.

Names are in the public cloud's spelling and in lower case. Which resolver knows them is in `desired.dns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from ringfence.model import access, compute, ml, network, registry, serving, storage
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import api_servers, clusters, container_groups, endpoints, places, private_link, registries, tags

CLUSTER_DOMAIN = "cluster.local"

#: Global names -> the tag in whose block they listen.
GLOBAL: Mapping[str, str] = {
    "management.azure.com": "AzureResourceManager",
    "login.microsoftonline.com": "AzureActiveDirectory",
    "login.windows.net": "AzureActiveDirectory",
    "login.microsoft.com": "AzureActiveDirectory",
    "sts.windows.net": "AzureActiveDirectory",
    "graph.microsoft.com": "AzureActiveDirectory",
    "microsoft.com": "AzureFrontDoor.FrontEnd",
    "www.microsoft.com": "AzureFrontDoor.FrontEnd",
    "ml.azure.com": "AzureFrontDoor.FrontEnd",
    "portal.azure.com": "AzureFrontDoor.FrontEnd",
}


def regional_host(region: str) -> str:
    """The data plane of a region: `eastus2.api.azureml.ms`."""
    return f"{region}.api.azureml.ms"


def workspace_host(workspace: Resource) -> str:
    """The data plane of one workspace: `<guid>.workspace.<region>.api.azureml.ms`."""
    return f"{workspace.guid('workspace')}.workspace.{workspace.region}.api.azureml.ms"


def blob_host(account: str) -> str:
    """The blob service of a storage account, by its name."""
    return f"{account.lower()}.blob.core.windows.net"


def vault_host(vault: str) -> str:
    """The data plane of a key vault, by its name."""
    return f"{vault.lower()}.vault.azure.net"


def storage_of(snapshot: Snapshot, workspace: Resource) -> Resource | None:
    """The storage account of a workspace: the one it names, else the one that was made with it."""
    assert isinstance(workspace.properties, ml.Workspace)
    named = workspace.properties.storage_account
    if named:
        return snapshot.get(named.lower())
    made = (r for r in snapshot.of_type(storage.STORAGE_ACCOUNT) if r.managed_by == workspace.key)
    return next(made, None)


def fqdn(cluster: Resource) -> str:
    """The public name of a cluster's API server: `<prefix>-<digits>.hcp.<region>.azmk8s.io`."""
    return api_servers.public_fqdn(cluster)


def hosts(snapshot: Snapshot) -> dict[str, str]:
    """Every public name that exists -> its address."""
    found = {name: tags.host(tag) for name, tag in GLOBAL.items()}
    regions = {r.region for r in snapshot.of_type(ml.WORKSPACE)} | {r.region for r in snapshot.of_type(network.VIRTUAL_NETWORK)}
    found |= {regional_host(region): tags.host("AzureMachineLearning", region) for region in regions}
    for workspace in places.alive(snapshot, ml.WORKSPACE):
        found[workspace_host(workspace)] = tags.host("AzureMachineLearning", workspace.region)
    for account in places.alive(snapshot, storage.STORAGE_ACCOUNT):
        found[blob_host(account.id.name)] = tags.host("Storage", account.region)
    for vault in places.alive(snapshot, access.VAULT):
        found[vault_host(vault.id.name)] = tags.host("AzureKeyVault", vault.region)
    for images in places.alive(snapshot, registry.REGISTRY):
        found[registries.login_server(images)] = tags.host("AzureContainerRegistry", images.region)
    for cluster in places.alive(snapshot, compute.MANAGED_CLUSTER):
        address = private_link.api_server(snapshot, cluster)
        if address is not None and api_servers.has_public_fqdn(cluster):
            found[fqdn(cluster)] = address
    return found | container_groups.hosts(snapshot)


def scoring(snapshot: Snapshot) -> dict[str, str]:
    """The names that Azure gave to scoring endpoints by a leaf label -> their public addresses. Nobody of ours answers there."""
    found = {}
    for owner in places.alive(snapshot, ml.COMPUTE):
        name, address = endpoints.leaf_name(owner), snapshot.value(owner.key, places.PUBLIC_FRONTEND)
        if name is not None and address is not None:
            found[name] = address
    return found


def inside_cluster(snapshot: Snapshot, cluster: Resource) -> dict[str, str]:
    """The names that only a cluster's own resolver knows -> addresses of its service range."""
    found = {
        f"kubernetes.default.svc.{CLUSTER_DOMAIN}": kubernetes_address(cluster),
        f"kube-dns.kube-system.svc.{CLUSTER_DOMAIN}": clusters.of(cluster).dns_service_ip,
    }
    user = clusters.compute_of(snapshot, cluster)
    if user is None:
        return found
    router = snapshot.value(user.key, places.CLUSTER_IP)
    if router is not None:
        found[f"azureml-fe.default.svc.{CLUSTER_DOMAIN}"] = router
    workspace = user.id.parent.name.lower()
    for service in places.alive(snapshot, serving.SERVICE):
        address = snapshot.value(service.key, places.CLUSTER_IP)
        if address is not None and places.compute_of(service) == user.id:
            found[f"{service.id.name.lower()}.azureml-{workspace}.svc.{CLUSTER_DOMAIN}"] = address
    return found


def kubernetes_address(cluster: Resource) -> str:
    """Where pods find the API server: the first address of the service range."""
    return str(IPv4Network(clusters.of(cluster).service_cidr)[1])
