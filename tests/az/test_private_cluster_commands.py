"""A private cluster by the unmodified Azure CLI, as the document has it: made, attached, given an internal load balancer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.az.conftest import Desk

_HERE = ("-n", "private", "-g", "targets")
#: The same one as other files use: a desk with one workspace needs no name for it.
_WORKSPACE = "/resourceGroups/targets/providers/Microsoft.MachineLearningServices/workspaces/targets?api-version=2022-05-01"
_NETWORK = "/resourceGroups/nets/providers/Microsoft.Network/virtualNetworks/hidden"
_TARGET = ("-n", "myprivate", "-w", "targets", "-g", "targets")


@pytest.fixture(scope="module")
def subnet(desk: Desk) -> str:
    for group in ("targets", "nets"):
        desk.az("group", "create", "-n", group, "-l", "eastus2")
    desk.arm("put", _WORKSPACE, {"location": "eastus2", "identity": {"type": "SystemAssigned"}, "properties": {}})
    prefixes = {"default": "10.8.0.0/22", "front": "10.8.4.0/24"}
    subnets = [{"name": name, "properties": {"addressPrefix": prefix}} for name, prefix in prefixes.items()]
    space = {"addressSpace": {"addressPrefixes": ["10.8.0.0/16"]}, "subnets": subnets}
    made = desk.arm("put", f"{_NETWORK}?api-version=2024-01-01", {"location": "eastus2", "properties": space})
    return str(made["properties"]["subnets"][0]["id"])


def test_a_private_cluster_is_attached_and_gets_an_internal_load_balancer(desk: Desk, subnet: str, tmp_path: Path) -> None:
    made = desk.az(
        "aks", "create", *_HERE, "--enable-private-cluster", "--vnet-subnet-id", subnet, "--no-ssh-key",
        "--node-count", "3", "--node-vm-size", "Standard_D3_v2",
        "--network-plugin", "azure", "--service-cidr", "10.0.0.0/16", "--dns-service-ip", "10.0.0.10",
    )  # fmt: skip
    attach = ("ml", "computetarget", "attach", "aks", *_TARGET, "--compute-resource-id", made["id"])
    assert "PrivateClusterWithPublicFqdnNotSupported" in desk.refused(*attach)
    shown = desk.az("aks", "update", *_HERE, "--disable-public-fqdn")
    assert shown["fqdn"] is None and ".privatelink.eastus2.azmk8s.io" in shown["privateFqdn"]
    endpoints = desk.az("network", "private-endpoint", "list", "-g", shown["nodeResourceGroup"])
    assert [one["privateLinkServiceConnections"][0]["privateLinkServiceId"] for one in endpoints] == [made["id"]]
    assert desk.az(*attach)["properties"]["properties"]["clusterFqdn"] == shown["privateFqdn"]
    inside = ("ml", "computetarget", "update", "aks", *_TARGET, "--load-balancer-type", "InternalLoadBalancer",
              "--load-balancer-subnet", "front")  # fmt: skip
    assert "LinkedAuthorizationFailed" in desk.refused(*inside)
    principal, group = shown["identity"]["principalId"], subnet.partition("/providers/")[0]
    desk.az("role", "assignment", "create", "--assignee", principal, "--role", "Network Contributor", "--scope", group)
    (service,) = desk.az(*inside)["properties"]["properties"]["systemServices"]
    assert service["publicIpAddress"].startswith("10.8.4.")
    config = tmp_path / "kubeconfig"
    desk.az("aks", "get-credentials", *_HERE, "-f", str(config))
    assert re.findall(r"server: (.+)", config.read_text()) == [f"https://{shown['privateFqdn']}:443"]
    desk.az("ml", "computetarget", "detach", *_TARGET)
    desk.az("aks", "delete", *_HERE, "--yes")
    assert desk.az("group", "exists", "-n", shown["nodeResourceGroup"]) is False
