"""What the commands do: each makes the request that azureml-core makes for the same thing.

The CLI reads the arguments off these signatures. Which workspace is meant is found by
`workspaces`, what a cluster's settings are on the wire by `bodies`; requests and waiting
are in `requests`.
"""

from __future__ import annotations

from typing import Any

from azure.cli.core.azclierror import RequiredArgumentMissingError

from . import bodies, requests
from .workspaces import Named, locate

_Object = dict[str, Any]


def show(
    cmd: Any,
    name: str,
    workspace_name: str | None = None,
    resource_group_name: str | None = None,
    subscription_id: str | None = None,
    path: str | None = None,
    verbosity: bool = False,
) -> _Object:
    """One compute target."""
    return requests.get(cmd, _compute(cmd, name, Named(workspace_name, resource_group_name, subscription_id, path)))


def list_all(
    cmd: Any,
    workspace_name: str | None = None,
    resource_group_name: str | None = None,
    subscription_id: str | None = None,
    path: str | None = None,
    verbosity: bool = False,
) -> list[_Object]:
    """Every compute target of the workspace."""
    workspace = locate(cmd, Named(workspace_name, resource_group_name, subscription_id, path))
    return requests.listed(cmd, f"{workspace}/computes")


def delete(
    cmd: Any,
    name: str,
    workspace_name: str | None = None,
    resource_group_name: str | None = None,
    subscription_id: str | None = None,
    path: str | None = None,
    verbosity: bool = False,
) -> None:
    """Delete it, and the cluster with it."""
    requests.remove(cmd, _compute(cmd, name, Named(workspace_name, resource_group_name, subscription_id, path)), "Delete")


def detach(
    cmd: Any,
    name: str,
    workspace_name: str | None = None,
    resource_group_name: str | None = None,
    subscription_id: str | None = None,
    path: str | None = None,
    verbosity: bool = False,
) -> None:
    """Take the cluster out of the workspace."""
    requests.remove(cmd, _compute(cmd, name, Named(workspace_name, resource_group_name, subscription_id, path)), "Detach")


def get_credentials(
    cmd: Any,
    name: str,
    workspace_name: str | None = None,
    resource_group_name: str | None = None,
    subscription_id: str | None = None,
    path: str | None = None,
    verbosity: bool = False,
) -> _Object:
    """The kubeconfigs of its cluster."""
    compute = _compute(cmd, name, Named(workspace_name, resource_group_name, subscription_id, path))
    return requests.post(cmd, f"{compute}/listKeys")


def create_aks(
    cmd: Any,
    name: str,
    agent_count: int | None = None,
    vm_size: str | None = None,
    location: str | None = None,
    cluster_purpose: str | None = None,
    service_cidr: str | None = None,
    dns_service_ip: str | None = None,
    docker_bridge_cidr: str | None = None,
    vnet_resourcegroup_name: str | None = None,
    vnet_name: str | None = None,
    subnet_name: str | None = None,
    load_balancer_type: str | None = None,
    load_balancer_subnet: str | None = None,
    ssl_cname: str | None = None,
    ssl_cert_file: str | None = None,
    ssl_key_file: str | None = None,
    ssl_leaf_domain_label: str | None = None,
    ssl_overwrite_domain: bool = False,
    workspace_name: str | None = None,
    resource_group_name: str | None = None,
    subscription_id: str | None = None,
    path: str | None = None,
    no_wait: bool = False,
    verbosity: bool = False,
) -> _Object:
    """A new cluster."""
    workspace = locate(cmd, Named(workspace_name, resource_group_name, subscription_id, path))
    inner = {
        "agentCount": agent_count,
        "agentVmSize": vm_size,
        "clusterPurpose": cluster_purpose,
        "loadBalancerType": load_balancer_type,
        "loadBalancerSubnet": load_balancer_subnet,
        "sslConfiguration": bodies.ssl(
            (ssl_cname, ssl_cert_file, ssl_key_file), ssl_leaf_domain_label, overwrite=ssl_overwrite_domain
        ),
        "aksNetworkingConfiguration": bodies.networking(
            workspace, (vnet_resourcegroup_name, vnet_name, subnet_name), (service_cidr, dns_service_ip, docker_bridge_cidr)
        ),
    }
    body = bodies.compute(inner, computeLocation=location)
    body["location"] = requests.get(cmd, workspace)["location"]
    return requests.put(cmd, f"{workspace}/computes/{name}", body, wait=not no_wait)


def attach_aks(
    cmd: Any,
    name: str,
    compute_resource_id: str,
    cluster_purpose: str | None = None,
    load_balancer_type: str | None = None,
    load_balancer_subnet: str | None = None,
    ssl_cname: str | None = None,
    ssl_cert_file: str | None = None,
    ssl_key_file: str | None = None,
    ssl_leaf_domain_label: str | None = None,
    ssl_overwrite_domain: bool = False,
    workspace_name: str | None = None,
    resource_group_name: str | None = None,
    subscription_id: str | None = None,
    path: str | None = None,
    no_wait: bool = False,
    verbosity: bool = False,
) -> _Object:
    """An existing cluster."""
    workspace = locate(cmd, Named(workspace_name, resource_group_name, subscription_id, path))
    inner = {
        "clusterPurpose": cluster_purpose,
        "loadBalancerType": load_balancer_type,
        "loadBalancerSubnet": load_balancer_subnet,
        "sslConfiguration": bodies.ssl(
            (ssl_cname, ssl_cert_file, ssl_key_file), ssl_leaf_domain_label, overwrite=ssl_overwrite_domain
        ),
    }
    body = bodies.compute(inner, resourceId=compute_resource_id)
    body["location"] = requests.get(cmd, workspace)["location"]
    return requests.put(cmd, f"{workspace}/computes/{name}", body, wait=not no_wait)


def update_aks(
    cmd: Any,
    name: str,
    load_balancer_type: str | None = None,
    load_balancer_subnet: str | None = None,
    ssl_cname: str | None = None,
    ssl_cert_file: str | None = None,
    ssl_key_file: str | None = None,
    ssl_leaf_domain_label: str | None = None,
    ssl_overwrite_domain: bool = False,
    ssl_disable: bool = False,
    ssl_renew: bool = False,
    workspace_name: str | None = None,
    resource_group_name: str | None = None,
    subscription_id: str | None = None,
    path: str | None = None,
    no_wait: bool = False,
    verbosity: bool = False,
) -> _Object:
    """Another load balancer or certificate; the document is read, changed and written back, as azureml-core does."""
    certificate = bodies.ssl(
        (ssl_cname, ssl_cert_file, ssl_key_file),
        ssl_leaf_domain_label,
        overwrite=ssl_overwrite_domain,
        disable=ssl_disable,
        renew=ssl_renew,
    )
    if certificate is None and load_balancer_type is None and load_balancer_subnet is None:
        raise RequiredArgumentMissingError("Nothing to update. Give --load-balancer-type, or one of the --ssl arguments.")
    compute = _compute(cmd, name, Named(workspace_name, resource_group_name, subscription_id, path))
    body = bodies.changed(requests.get(cmd, compute), load_balancer_type, load_balancer_subnet, certificate)
    return requests.put(cmd, compute, body, wait=not no_wait)


def _compute(cmd: Any, name: str, asked: Named) -> str:
    return f"{locate(cmd, asked)}/computes/{name}"
