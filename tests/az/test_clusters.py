"""`az aks` by the unmodified Azure CLI: a cluster in a subnet of one's own, the document's four steps, pools, the end."""

from __future__ import annotations

import pytest
from tests.az.conftest import Desk

_HERE = ("-n", "mine", "-g", "nodes")


@pytest.fixture(scope="module")
def subnet(desk: Desk) -> str:
    desk.az("group", "create", "-n", "nodes", "-l", "eastus2")
    desk.az("network", "vnet", "create", "-g", "nodes", "-n", "net", "--address-prefixes", "10.7.0.0/16",
            "--subnet-name", "default", "--subnet-prefixes", "10.7.0.0/22")  # fmt: skip
    return str(desk.az("network", "vnet", "subnet", "show", "-g", "nodes", "--vnet-name", "net", "-n", "default")["id"])


def test_a_cluster_from_its_creation_to_its_end(desk: Desk, subnet: str) -> None:
    made = desk.az(
        "aks", "create", *_HERE, "--vnet-subnet-id", subnet, "--node-count", "3", "--no-ssh-key",
        "--network-plugin", "azure", "--service-cidr", "10.0.0.0/16", "--dns-service-ip", "10.0.0.10",
    )  # fmt: skip
    assert made["provisioningState"] == "Succeeded" and made["agentPoolProfiles"][0]["count"] == 3
    assert desk.az("aks", "show", *_HERE, "--query", "servicePrincipalProfile.clientId") == "msi"
    principal = desk.az("aks", "show", *_HERE, "--query", "identity.principalId")
    # The command line has made the role assignment on the subnet by itself, while the cluster was being made.
    (given,) = desk.az("role", "assignment", "list", "--scope", subnet)
    assert (given["principalId"], given["scope"]) == (principal, subnet)
    assert desk.az("aks", "scale", *_HERE, "--node-count", "4")["agentPoolProfiles"][0]["count"] == 4
    (pool,) = desk.az("aks", "nodepool", "list", "--cluster-name", "mine", "-g", "nodes")
    assert (pool["count"], pool["vnetSubnetId"]) == (4, subnet)
    assert desk.az("aks", "update", *_HERE, "--tags", "a=b")["tags"] == {"a": "b"}
    assert [one["name"] for one in desk.az("aks", "list", "-g", "nodes")] == ["mine"]
    desk.az("aks", "delete", *_HERE, "--yes")
    assert "ResourceNotFound" in desk.refused("aks", "show", *_HERE)


def test_a_refusal_is_azures(desk: Desk, subnet: str) -> None:
    said = desk.refused("aks", "create", *_HERE, "--vnet-subnet-id", subnet, "--no-ssh-key", "--network-plugin", "azure",
                        "--service-cidr", "10.7.0.0/24", "--dns-service-ip", "10.7.0.10")  # fmt: skip
    assert "ServiceCidrOverlapExistingSubnetsCidr" in said
