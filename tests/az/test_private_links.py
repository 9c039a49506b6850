"""`az network private-endpoint` and `private-dns`, and `az keyvault secret` through them, by the unmodified Azure CLI."""

from __future__ import annotations

from tests.az.conftest import Desk

_GROUP = ("-g", "links")
_ZONE = ("-z", "privatelink.vaultcore.azure.net")


def test_a_vault_behind_a_private_endpoint(desk: Desk) -> None:
    desk.az("group", "create", "-n", "links", "-l", "eastus2")
    vnet = ("--address-prefixes", "10.4.0.0/16", "--subnet-name", "s", "--subnet-prefixes", "10.4.0.0/24")
    desk.az("network", "vnet", "create", *_GROUP, "-n", "here", *vnet)
    closed = ("--enable-rbac-authorization", "false", "--public-network-access", "Disabled")
    vault = desk.az("keyvault", "create", *_GROUP, "-n", "azvault", *closed)
    target = ("--private-connection-resource-id", vault["id"], "--group-id", "vault", "--connection-name", "c")
    made = desk.az("network", "private-endpoint", "create", *_GROUP, "-n", "pe", "--vnet-name", "here", "--subnet", "s", *target)
    assert made["privateLinkServiceConnections"][0]["privateLinkServiceConnectionState"]["status"] == "Approved"
    desk.az("network", "private-dns", "zone", "create", *_GROUP, "-n", _ZONE[1])
    desk.az("network", "private-dns", "link", "vnet", "create", *_GROUP, *_ZONE, "-n", "l", "-v", "here", "-e", "false")
    group = ("network", "private-endpoint", "dns-zone-group", "create", *_GROUP, "--endpoint-name", "pe", "-n", "default")
    made = desk.az(*group, "--private-dns-zone", _ZONE[1], "--zone-name", "vault")
    assert made["privateDnsZoneConfigs"][0]["recordSets"][0]["ipAddresses"] == ["10.4.0.4"]
    secret = ("keyvault", "secret", "set", "--vault-name", "azvault", "-n", "one", "--value", "hello")
    assert "ForbiddenByConnection" in desk.refused(*secret)
    assert desk.az(*secret, at="here/s")["value"] == "hello"
