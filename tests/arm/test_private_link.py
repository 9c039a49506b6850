"""Private endpoints, connections, zones and peerings over HTTP: documents, states, refusals."""

from __future__ import annotations

from typing import Any

import pytest
from tests.arm.arm_world import GROUP, SUBSCRIPTION, VNET, Arm, error, network

NETWORK = f"{GROUP}/providers/Microsoft.Network"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/mydata"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/myvault"
ENDPOINT = f"{NETWORK}/privateEndpoints/pe"
ZONE = f"{NETWORK}/privateDnsZones/privatelink.blob.core.windows.net"
OTHER = f"{NETWORK}/virtualNetworks/other"


def endpoint(target: str = ACCOUNT, group: str = "blob", *, manual: bool = False, **more: Any) -> dict[str, Any]:
    kind = "manualPrivateLinkServiceConnections" if manual else "privateLinkServiceConnections"
    connection = {"name": "c", "properties": {"privateLinkServiceId": target, "groupIds": [group], "requestMessage": "please"}}
    return {"location": "eastus2", "properties": {"subnet": {"id": f"{VNET}/subnets/default"}, kind: [connection], **more}}


def account(arm: Arm) -> None:
    arm.network()
    arm.made(ACCOUNT, {"location": "eastus2", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": {}})


def at(address: str) -> dict[str, Any]:
    return endpoint(ipConfigurations=[{"name": "i", "properties": {"privateIPAddress": address}}])


def zone(arm: Arm, id: str = ZONE) -> None:
    arm.made(id, {"location": "global"})


def side(remote: str, **more: Any) -> dict[str, Any]:
    return {"properties": {"remoteVirtualNetwork": {"id": remote}, "allowVirtualNetworkAccess": True, **more}}


def states(arm: Arm) -> list[str]:
    found = (f"{VNET}/virtualNetworkPeerings/there", f"{OTHER}/virtualNetworkPeerings/back")
    return [arm.get(path).json()["properties"]["peeringState"] for path in found if arm.get(path).status_code == 200]


def test_an_endpoint_has_an_interface_and_an_approved_connection(arm: Arm) -> None:
    account(arm)
    shown = arm.made(ENDPOINT, endpoint())["properties"]
    (connection,) = shown["privateLinkServiceConnections"]
    assert connection["properties"]["privateLinkServiceConnectionState"]["status"] == "Approved"
    assert shown["customDnsConfigs"] == [{"fqdn": "mydata.blob.core.windows.net", "ipAddresses": ["10.1.0.4"]}]
    nic = arm.get(shown["networkInterfaces"][0]["id"]).json()["properties"]
    assert nic["privateEndpoint"] == {"id": ENDPOINT}
    inner = nic["ipConfigurations"][0]["properties"]
    assert inner["privateIPAddress"] == "10.1.0.4"
    assert inner["privateLinkConnectionProperties"]["fqdns"] == ["mydata.blob.core.windows.net"]
    subnet = arm.get(f"{VNET}/subnets/default").json()["properties"]
    assert subnet["privateEndpoints"] == [{"id": ENDPOINT}]
    (row,) = arm.get(ACCOUNT).json()["properties"]["privateEndpointConnections"]
    assert row["properties"]["privateEndpoint"] == {"id": ENDPOINT}
    interface = shown["networkInterfaces"][0]["id"]
    error(arm.send("DELETE", interface), 400, "NicInUseWithPrivateEndpoint")
    static = {"subnet": {"id": f"{VNET}/subnets/default"}, "privateIPAddress": "10.1.0.9", "privateIPAllocationMethod": "Static"}
    changed = {"ipConfigurations": [{"name": "x", "properties": static}]}
    error(arm.put(interface, {"location": "eastus2", "properties": changed}), 400, "NicInUseWithPrivateEndpoint")
    error(arm.send("DELETE", f"{VNET}/subnets/default"), 400, "InUseSubnetCannotBeDeleted")
    arm.follow(arm.send("DELETE", ENDPOINT))
    assert arm.get(f"{ACCOUNT}/privateEndpointConnections").json()["value"] == []
    assert arm.get(f"{NETWORK}/networkInterfaces").json()["value"] == []


def test_a_request_waits_for_the_owner(arm: Arm) -> None:
    account(arm)
    arm.made(ENDPOINT, endpoint(manual=True))
    (row,) = arm.get(f"{ACCOUNT}/privateEndpointConnections").json()["value"]
    assert row["properties"]["privateLinkServiceConnectionState"] == {
        "status": "Pending", "description": "please", "actionsRequired": "None",
    }  # fmt: skip

    def answer(status: str) -> str:
        body = {"properties": {"privateLinkServiceConnectionState": {"status": status, "description": "well"}}}
        arm.follow(arm.put(row["id"], body))
        (shown,) = arm.get(ENDPOINT).json()["properties"]["manualPrivateLinkServiceConnections"]
        return str(shown["properties"]["privateLinkServiceConnectionState"]["status"])

    assert arm.get(ENDPOINT).json()["properties"]["customDnsConfigs"] == []
    assert [answer("Approved"), answer("Rejected"), answer("Approved")] == ["Approved", "Rejected", "Approved"]
    arm.follow(arm.send("DELETE", row["id"]))
    (shown,) = arm.get(ENDPOINT).json()["properties"]["manualPrivateLinkServiceConnections"]
    assert shown["properties"]["privateLinkServiceConnectionState"]["status"] == "Disconnected"
    arm.made(ENDPOINT, endpoint(manual=True))
    assert arm.get(f"{ACCOUNT}/privateEndpointConnections").json()["value"] == []


def test_a_zone_group_keeps_the_records(arm: Arm) -> None:
    account(arm)
    zone(arm)
    arm.made(ENDPOINT, endpoint(manual=True))
    group = f"{ENDPOINT}/privateDnsZoneGroups/default"
    arm.made(group, {"properties": {"privateDnsZoneConfigs": [{"name": "blob", "properties": {"privateDnsZoneId": ZONE}}]}})
    error(arm.get(f"{ZONE}/A/mydata"), 404, "NotFound")
    (row,) = arm.get(f"{ACCOUNT}/privateEndpointConnections").json()["value"]
    arm.follow(arm.put(row["id"], {"properties": {"privateLinkServiceConnectionState": {"status": "Approved"}}}))
    record = arm.get(f"{ZONE}/A/mydata").json()["properties"]
    assert record["aRecords"] == [{"ipv4Address": "10.1.0.4"}] and record["ttl"] == 10
    (config,) = arm.get(group).json()["properties"]["privateDnsZoneConfigs"]
    assert config["properties"]["recordSets"][0]["fqdn"] == "mydata.privatelink.blob.core.windows.net"
    assert arm.get(ENDPOINT).json()["properties"]["customDnsConfigs"] == []
    assert {r["name"] for r in arm.get(f"{ZONE}/ALL").json()["value"]} == {"@", "mydata"}
    arm.follow(arm.send("DELETE", group))
    error(arm.get(f"{ZONE}/A/mydata"), 404, "NotFound")


def test_a_workspace_has_three_members(arm: Arm) -> None:
    arm.workspace()
    workspace = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
    shown = arm.made(ENDPOINT, endpoint(workspace, "amlworkspace"))["properties"]
    names = [config["fqdn"].partition(".")[2] for config in shown["customDnsConfigs"]]
    assert names == [
        "workspace.eastus2.api.azureml.ms", "workspace.eastus2.cert.api.azureml.ms", "eastus2.notebooks.azure.net",
        f"{shown['customDnsConfigs'][0]['fqdn'].partition('.')[0]}.inference.eastus2.api.azureml.ms",
    ]  # fmt: skip
    assert len({config["ipAddresses"][0] for config in shown["customDnsConfigs"]}) == 3
    (group,) = arm.get(f"{workspace}/privateLinkResources").json()["value"]
    assert group["properties"]["requiredZoneNames"] == ["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (endpoint(group="TABLE"), "InvalidValuesForRequestParameters"),
        (endpoint(ACCOUNT + "x"), "InvalidResourceReference"),
        (endpoint(VNET), "NotSupported"),
        (
            endpoint(ipConfigurations=[{"name": "i", "properties": {"privateIPAddress": "10.9.0.9"}}]),
            "PrivateIPAddressNotInSubnet",
        ),
        (
            endpoint(ipConfigurations=[{"name": "i", "properties": {"privateIPAddress": "10.1.0.1"}}]),
            "PrivateIPAddressInReservedRange",
        ),
        (endpoint() | {"location": "westus"}, "InvalidResourceReference"),
    ],
)
def test_endpoints_that_azure_refuses(arm: Arm, body: dict[str, Any], code: str) -> None:
    account(arm)
    error(arm.put(ENDPOINT, body), 400, code)
    assert arm.get(f"{NETWORK}/networkInterfaces").json()["value"] == []


def test_several_groups_and_basic_registries_are_refused(arm: Arm) -> None:
    account(arm)
    several = endpoint()
    several["properties"]["privateLinkServiceConnections"][0]["properties"]["groupIds"] = ["blob", "file"]
    error(arm.put(ENDPOINT, several), 400, "OnlyOneGroupIdPermitted")
    images = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/images"
    arm.made(images, {"location": "eastus2", "sku": {"name": "Basic"}, "properties": {}})
    error(arm.put(ENDPOINT, endpoint(images, "registry")), 400, "PrivateEndpointFeatureNotSupportedOnResource")
    arm.made(images, {"location": "eastus2", "sku": {"name": "Premium"}, "properties": {}})
    shown = arm.made(ENDPOINT, endpoint(images, "registry"))["properties"]
    assert [config["fqdn"] for config in shown["customDnsConfigs"]] == ["images.eastus2.data.azurecr.io", "images.azurecr.io"]


def test_a_delegated_subnet_takes_no_endpoint(arm: Arm) -> None:
    account(arm)
    delegation = {"name": "0", "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"}}
    arm.made(f"{VNET}/subnets/aci", {"properties": {"addressPrefix": "10.1.8.0/24", "delegations": [delegation]}})
    body = endpoint()
    body["properties"]["subnet"]["id"] = f"{VNET}/subnets/aci"
    error(arm.put(ENDPOINT, body), 400, "SubnetWithExternalResourcesCannotBeUsedByOtherResources")


def test_a_pair_of_peerings_connects_and_falls_apart(arm: Arm) -> None:
    arm.network()
    arm.made(OTHER, network(prefix="10.2.0.0/16"))
    there, back = f"{VNET}/virtualNetworkPeerings/there", f"{OTHER}/virtualNetworkPeerings/back"
    arm.made(there, side(OTHER))
    assert states(arm) == ["Initiated"]
    arm.made(back, side(VNET))
    assert states(arm) == ["Connected", "Connected"]
    (inline,) = arm.get(VNET).json()["properties"]["virtualNetworkPeerings"]
    assert inline["properties"]["remoteAddressSpace"] == {"addressPrefixes": ["10.2.0.0/16"]}
    arm.follow(arm.send("DELETE", back))
    assert states(arm) == ["Disconnected"]
    error(arm.put(back, side(VNET)), 400, "RemotePeeringIsDisconnected")
    arm.made(there, side(OTHER))
    assert states(arm) == ["Initiated"]
    arm.made(back, side(VNET))
    assert states(arm) == ["Connected", "Connected"]
    arm.follow(arm.send("DELETE", OTHER))
    assert states(arm) == ["Disconnected"]


def test_peerings_that_azure_refuses(arm: Arm) -> None:
    arm.network()
    arm.made(OTHER, network(prefix="10.1.128.0/24"))
    there = f"{VNET}/virtualNetworkPeerings/there"
    error(arm.put(there, side(OTHER)), 400, "VnetAddressSpacesOverlap")
    error(arm.put(there, side(VNET)), 400, "InvalidRequestFormat")
    error(arm.put(there, side(OTHER + "x")), 400, "InvalidResourceReference")
    arm.made(OTHER, network(prefix="10.2.0.0/16"))
    error(arm.put(there, side(OTHER, useRemoteGateways=True)), 400, "RemoteVnetHasNoGateways")
    arm.made(there, side(OTHER))
    error(arm.put(f"{there}2", side(OTHER)), 400, "AnotherPeeringAlreadyReferencesRemoteVnet")
    arm.made(f"{OTHER}/virtualNetworkPeerings/back", side(VNET))
    error(arm.put(OTHER, network(prefix="10.1.128.0/24")), 400, "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet")
    third = f"{NETWORK}/virtualNetworks/third"
    arm.made(third, network(prefix="10.2.4.0/24"))
    error(arm.put(f"{third}/virtualNetworkPeerings/p", side(VNET)), 400, "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet")


def test_peerings_stand_inline_and_stay_when_they_are_left_out(arm: Arm) -> None:
    arm.network()
    arm.made(OTHER, network(prefix="10.2.0.0/16"))
    body = network({"name": "default", "properties": {"addressPrefix": "10.1.0.0/22"}})
    body["properties"]["virtualNetworkPeerings"] = [{"name": "there", **side(OTHER)}]
    arm.made(VNET, body)
    assert states(arm) == ["Initiated"]
    del body["properties"]["virtualNetworkPeerings"]
    arm.made(VNET, body)
    assert states(arm) == ["Initiated"]
    body["properties"]["virtualNetworkPeerings"] = []
    arm.made(VNET, body)
    assert states(arm) == []


def test_zones_are_global_and_linked_once(arm: Arm) -> None:
    arm.network()
    error(arm.put(ZONE, {"location": "eastus2"}), 400, "LocationNotAvailableForResourceType")
    zone(arm)
    link = {"location": "global", "properties": {"virtualNetwork": {"id": VNET}, "registrationEnabled": True}}
    shown = arm.made(f"{ZONE}/virtualNetworkLinks/one", link)["properties"]
    assert shown["virtualNetworkLinkState"] == "Completed"
    error(arm.put(f"{ZONE}/virtualNetworkLinks/two", link), 400, "BadRequest")
    second = f"{NETWORK}/privateDnsZones/corp.example"
    zone(arm, second)
    error(arm.put(f"{second}/virtualNetworkLinks/one", link), 409, "Conflict")
    link["properties"] = {"virtualNetwork": {"id": VNET}, "registrationEnabled": False}
    arm.made(f"{second}/virtualNetworkLinks/one", link)
    error(arm.send("DELETE", ZONE), 409, "CannotDeleteResource")
    arm.follow(arm.send("DELETE", f"{ZONE}/virtualNetworkLinks/one"))
    arm.follow(arm.send("DELETE", ZONE))
    error(arm.get(f"{ZONE}/SOA/@"), 404, "ResourceNotFound")


def test_record_sets_have_etags_and_one_type(arm: Arm) -> None:
    arm.network()
    second = f"{NETWORK}/privateDnsZones/corp.example"
    zone(arm, second)
    record = f"{second}/A/www"
    first = arm.made(record, {"properties": {"ttl": 60}})
    assert first["properties"]["aRecords"] == [] and first["properties"]["fqdn"] == "www.corp.example."
    body = {"properties": {"ttl": 60, "aRecords": [{"ipv4Address": "10.1.0.9"}]}}
    error(arm.put(record, body, headers={"If-Match": 'W/"no"'}), 412, "PreconditionFailed")
    assert arm.put(record, body, headers={"If-Match": first["etag"]}).status_code == 200
    error(arm.put(record, {"properties": {"aRecords": [{"ipv4Address": "10.1.0.999"}]}}), 400, "BadRequest")
    error(arm.put(record, {"properties": {"cnameRecord": {"cname": "x.example"}}}), 400, "BadRequest")
    error(arm.put(f"{second}/CNAME/www", {"properties": {"cnameRecord": {"cname": "x.example"}}}), 409, "Conflict")
    error(arm.send("DELETE", f"{second}/SOA/@"), 400, "BadRequest")
    arm.made(f"{second}/TXT/www", {"properties": {"txtRecords": [{"value": ["hello"]}]}})
    assert {r["type"].rpartition("/")[2] for r in arm.get(f"{second}/ALL").json()["value"]} == {"A", "SOA", "TXT"}
    assert [r["name"] for r in arm.get(f"{second}/A").json()["value"]] == ["www"]


def test_a_firewall_names_public_addresses_and_subnets_with_service_endpoints(arm: Arm) -> None:
    account(arm)
    rule = {"id": f"{VNET}/subnets/default"}
    rules: dict[str, Any] = {"virtualNetworkRules": [rule], "defaultAction": "Deny"}
    body = {"location": "eastus2", "properties": {"networkAcls": rules}}
    error(arm.put(ACCOUNT, body), 400, "NetworkAclsValidationFailure")
    service = {"addressPrefix": "10.1.0.0/22", "serviceEndpoints": [{"service": "Microsoft.Storage"}]}
    arm.made(f"{VNET}/subnets/default", {"properties": service})
    arm.made(ACCOUNT, body)
    rules["ipRules"] = [{"value": "10.0.0.1"}]
    error(arm.put(ACCOUNT, body), 400, "InvalidValuesForRequestParameters")
    images = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/images"
    error(
        arm.put(images, {"location": "eastus2", "sku": {"name": "Basic"}, "properties": {"publicNetworkAccess": "Disabled"}}),
        400, "DisablingPublicNetworkAccessNotSupported",
    )  # fmt: skip


def test_names_that_are_host_names_are_asked_for_first(arm: Arm) -> None:
    account(arm)
    path = f"{SUBSCRIPTION}/providers/Microsoft.Storage/checkNameAvailability"
    found = [arm.send("POST", path, {"name": name, "type": "x"}).json() for name in ("fresh", "mydata", "No_Name")]
    assert [one["nameAvailable"] for one in found] == [True, False, False]
    assert [one.get("reason") for one in found] == [None, "AlreadyExists", "AccountNameInvalid"]
