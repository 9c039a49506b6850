"""RULES.md sections 1 to 3, 7 and 8 as clients meet them: each refusal over HTTP, and nothing changed by it."""

from __future__ import annotations

from typing import Any

from tests.arm.arm_world import NSG, SUBSCRIPTION, VNET, WORKSPACE, Arm, network
from tests.arm.limits_world import (
    CLUSTERS,
    CONTAINERS,
    ELSEWHERE,
    ENDPOINTS,
    FAR,
    NICS,
    OTHER,
    PEERINGS,
    RULES,
    SQL,
    SUBNETS,
    TWIN,
    ZONE,
    ZONES,
    Case,
    at,
    held,
    lb,
    nic,
    part,
    pe,
    prefixes,
)
from tests.arm.test_private_link import ACCOUNT, NETWORK, side
from tests.clouds import rule

BALANCERS = f"{NETWORK}/loadBalancers"


def written(**change: Any) -> dict[str, Any]:
    return {"properties": rule(200) | change}


CASES: list[Case] = [
    # Section 1: addressing, resizing, deleting.
    ("network /30", f"{NETWORK}/virtualNetworks/n", prefixes("10.9.0.0/30"), "InvalidAddressPrefixLength"),
    ("network multicast", f"{NETWORK}/virtualNetworks/n", prefixes("224.0.1.0/24"), "AddressPrefixNotAllowed"),
    ("network without prefix", f"{NETWORK}/virtualNetworks/n", prefixes(), "AddressSpaceIsEmpty"),
    ("network host bits", f"{NETWORK}/virtualNetworks/n", prefixes("10.9.0.1/16"), "InvalidCIDRNotation"),
    ("network no length", f"{NETWORK}/virtualNetworks/n", prefixes("10.9.0.0"), "InvalidAddressPrefixFormat"),
    (
        "network prefixes overlap",
        f"{NETWORK}/virtualNetworks/n",
        prefixes("10.9.0.0/16", "10.9.1.0/24"),
        "NetcfgAddressPrefixesOverlap",
    ),
    ("network moves", VNET, network() | {"location": "westeurope"}, "409 InvalidResourceLocation"),
    ("network on mars", f"{NETWORK}/virtualNetworks/n", network() | {"location": "mars"}, "LocationNotAvailableForResourceType"),
    ("network loses used subnets", VNET, network(), "InUseSubnetCannotBeDeleted"),
    ("subnet outside", f"{SUBNETS}/n", part("10.2.0.0/24"), "NetcfgInvalidSubnet"),
    ("subnet overlaps", f"{SUBNETS}/n", part("10.1.8.128/25"), "NetcfgSubnetRangesOverlap"),
    ("subnet covers", f"{SUBNETS}/n", part("10.1.8.0/21"), "NetcfgSubnetRangesOverlap"),
    ("subnet /30", f"{SUBNETS}/n", part("10.1.20.0/30"), "InvalidSubnetSize"),
    ("subnet of no network", f"{NETWORK}/virtualNetworks/none/subnets/n", part("10.1.20.0/24"), "404 ParentResourceNotFound"),
    ("subnet name", f"{SUBNETS}/{'n' * 81}", part("10.1.20.0/24"), "InvalidResourceName"),
    ("subnet shrinks under interface", f"{SUBNETS}/used", part("10.1.10.0/25"), "InUsePrefixCannotBeDeleted"),
    ("subnet shrinks under container group", f"{SUBNETS}/aci", part("10.1.8.0/25", CONTAINERS), "InUsePrefixCannotBeDeleted"),
    ("network grows into peer", OTHER, prefixes("10.5.0.0/16", "10.1.0.0/16"), "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet"),
    ("delete under interface", f"DELETE {SUBNETS}/used", None, "InUseSubnetCannotBeDeleted"),
    ("delete under container group", f"DELETE {SUBNETS}/aci", None, "InUseSubnetCannotBeDeleted"),
    ("delete under cluster", f"DELETE {SUBNETS}/default", None, "InUseSubnetCannotBeDeleted"),
    ("delete network in use", f"DELETE {VNET}", None, "InUseSubnetCannotBeDeleted"),
    ("delete group of rules in use", f"DELETE {NSG}", None, "InUseNetworkSecurityGroupCannotBeDeleted"),
    ("rules of another region", f"{NETWORK}/networkInterfaces/n", nic(f"{FAR}/subnets/s"), "InvalidResourceReference"),
    ("interface without subnet", f"{NICS}/n", nic("nowhere"), "InvalidResourceReference"),
    ("interface outside", f"{NICS}/n", nic("used", "10.1.11.5"), "PrivateIPAddressNotInSubnet"),
    ("interface network address", f"{NICS}/n", nic("used", "10.1.10.0"), "PrivateIPAddressInReservedRange"),
    ("interface gateway", f"{NICS}/n", nic("used", "10.1.10.1"), "PrivateIPAddressInReservedRange"),
    ("interface dns", f"{NICS}/n", nic("used", "10.1.10.3"), "PrivateIPAddressInReservedRange"),
    ("interface broadcast", f"{NICS}/n", nic("used", "10.1.10.255"), "PrivateIPAddressInReservedRange"),
    ("interface taken", f"{NICS}/n", nic("used", "10.1.10.200"), "PrivateIPAddressIsAllocated"),
    ("interface in full subnet", f"{NICS}/n", nic("full"), "SubnetIsFull"),
    (
        "interface in another subscription",
        f"{NICS}/n",
        nic(f"{ELSEWHERE}{SUBNETS.removeprefix(SUBSCRIPTION)}/used"),
        "InvalidResourceReference",
    ),
    ("peering overlaps", f"{PEERINGS}/twin", side(TWIN), "VnetAddressSpacesOverlap"),
    ("peering twice", f"{PEERINGS}/again", side(OTHER), "AnotherPeeringAlreadyReferencesRemoteVnet"),
    ("peering changes", f"{PEERINGS}/other", side(FAR), "ChangingRemoteVirtualNetworkNotAllowed"),
    ("peering with itself", f"{PEERINGS}/self", side(VNET), "InvalidRequestFormat"),
    ("peering with nobody", f"{PEERINGS}/none", side(f"{NETWORK}/virtualNetworks/none"), "InvalidResourceReference"),
    ("peering uses gateways", f"{PEERINGS}/far", side(FAR, useRemoteGateways=True), "RemoteVnetHasNoGateways"),
    ("rules of a network", f"{SUBNETS}/n", part("10.1.20.0/24", networkSecurityGroup={"id": VNET}), "InvalidRequestFormat"),
    (
        "rules by half an id",
        f"{SUBNETS}/n",
        part("10.1.20.0/24", networkSecurityGroup={"id": NSG[1:]}),
        "LinkedInvalidPropertyId",
    ),
    ("rules by name", f"{SUBNETS}/n", part("10.1.20.0/24", networkSecurityGroup={"id": "guard"}), "LinkedInvalidPropertyId"),
    (
        "rules that are not",
        f"{SUBNETS}/n",
        part("10.1.20.0/24", networkSecurityGroup={"id": f"{NSG}x"}),
        "InvalidResourceReference",
    ),
    ("interface in a network", f"{NICS}/n", nic(VNET), "InvalidRequestFormat"),
    ("endpoint in a network", f"{ENDPOINTS}/n", pe(VNET), "InvalidRequestFormat"),
    ("peering with a subnet", f"{PEERINGS}/n", side(f"{SUBNETS}/used"), "InvalidResourceReference"),
    ("frontend in delegated subnet", f"{BALANCERS}/n", lb("aci"), "SubnetWithExternalResourcesCannotBeUsedByOtherResources"),
    ("frontend kept by Azure", f"{BALANCERS}/n", lb("used", "10.1.10.2"), "PrivateIPAddressInReservedRange"),
    ("frontend outside", f"{BALANCERS}/n", lb("used", "10.1.8.9"), "PrivateIPAddressNotInSubnet"),
    ("frontend taken", f"{BALANCERS}/n", lb("used", "10.1.10.200"), "PrivateIPAddressIsAllocated"),
    ("frontend moves", f"{BALANCERS}/mine", lb("used", "10.1.10.101"), "NotSupported"),
    ("frontend moves out", f"{BALANCERS}/mine", lb("small"), "NotSupported"),
    ("frontend in full subnet", f"{BALANCERS}/n", lb("full"), "SubnetIsFull"),
    # Sections 2 and 3: rules and tags.
    ("rule 99", f"{RULES}/n", written(priority=99), "SecurityRuleInvalidPriority"),
    ("rule 4097", f"{RULES}/n", written(priority=4097), "SecurityRuleInvalidPriority"),
    ("rule same priority", f"{RULES}/n", written(priority=100), "SecurityRuleConflict"),
    ("rule protocol", f"{RULES}/n", written(protocol="Sctp"), "InvalidRequestFormat"),
    ("rule direction", f"{RULES}/n", written(direction="Both"), "InvalidRequestFormat"),
    ("rule access", f"{RULES}/n", written(access="Drop"), "InvalidRequestFormat"),
    ("rule port", f"{RULES}/n", written(destinationPortRange="65536"), "SecurityRuleInvalidPortRange"),
    ("rule port list in one", f"{RULES}/n", written(destinationPortRange="80,443"), "SecurityRuleInvalidPortRange"),
    (
        "rule star in list",
        f"{RULES}/n",
        written(destinationPortRange=None, destinationPortRanges=["*"]),
        "SecurityRuleParameterContainsInvalidPortRanges",
    ),
    (
        "rule tag in list",
        f"{RULES}/n",
        written(sourceAddressPrefix=None, sourceAddressPrefixes=["Internet"]),
        "SecurityRuleParameterContainsUnsupportedValue",
    ),
    (
        "rule two tags",
        f"{RULES}/n",
        written(sourceAddressPrefix=None, sourceAddressPrefixes=["Storage", "Sql"]),
        "SecurityRuleParameterContainsUnsupportedValue",
    ),
    (
        "rule list overlaps",
        f"{RULES}/n",
        written(sourceAddressPrefix=None, sourceAddressPrefixes=["10.0.0.0/8", "10.0.0.0/16"]),
        "OverlappingSubnetsNotPermittedInSecurityRule",
    ),
    ("rule both fields", f"{RULES}/n", written(sourceAddressPrefixes=["10.0.0.0/8"]), "SecurityRuleParametersConflict"),
    ("rule neither field", f"{RULES}/n", written(destinationPortRange=None), "SecurityRuleParametersMissing"),
    ("rule unknown tag", f"{RULES}/n", written(sourceAddressPrefix="Intranet"), "SecurityRuleInvalidAddressPrefix"),
    ("rule unknown region", f"{RULES}/n", written(sourceAddressPrefix="Storage.mars"), "SecurityRuleInvalidAddressPrefix"),
    ("rule icmp with port", f"{RULES}/n", written(protocol="Icmp", destinationPortRange="8"), "SecurityRuleInvalidPortRange"),
    ("rule allows platform", f"{RULES}/n", written(sourceAddressPrefix="AzurePlatformDNS"), "SecurityRuleInvalidAccessType"),
    ("rule name", f"{RULES}/{'n' * 81}", written(), "InvalidResourceName"),
    (
        "rules inline conflict",
        NSG,
        at({"securityRules": [{"name": n, "properties": rule(300)} for n in ("a", "b")]}),
        "SecurityRuleConflict",
    ),
    (
        "rules inline same name",
        NSG,
        at({"securityRules": [{"name": n, "properties": rule(300)} for n in ("a", "A")]}),
        "DuplicateResourceName",
    ),
    # Section 7: delegation.
    (
        "delegated while used",
        f"{SUBNETS}/used",
        part("10.1.10.0/24", CONTAINERS),
        "SubnetDelegationsCannotChangeWhenSubnetUsedByResource",
    ),
    (
        "delegation taken while used",
        f"{SUBNETS}/aci",
        part("10.1.8.0/24"),
        "SubnetDelegationsCannotChangeWhenSubnetUsedByResource",
    ),
    (
        "delegation changed while used",
        f"{SUBNETS}/aci",
        part("10.1.8.0/24", SQL),
        "SubnetDelegationsCannotChangeWhenSubnetUsedByResource",
    ),
    ("delegated to nobody", f"{SUBNETS}/n", part("10.1.20.0/24", "Microsoft.Nothing/things"), "InvalidServiceNameOnDelegation"),
    ("interface in delegated subnet", f"{NICS}/n", nic("aci"), "SubnetWithExternalResourcesCannotBeUsedByOtherResources"),
    ("endpoint in delegated subnet", f"{ENDPOINTS}/n", pe("aci"), "SubnetWithExternalResourcesCannotBeUsedByOtherResources"),
    # Section 8: private endpoints and zones.
    ("endpoint unknown group", f"{ENDPOINTS}/n", pe("used", group="blobs"), "InvalidValuesForRequestParameters"),
    ("endpoint to workspace, wrong group", f"{ENDPOINTS}/n", pe("used", WORKSPACE, "blob"), "InvalidValuesForRequestParameters"),
    ("endpoint to network", f"{ENDPOINTS}/n", pe("used", OTHER, "network"), "NotSupported"),
    (
        "endpoint to public cluster",
        f"{ENDPOINTS}/n",
        pe("used", f"{CLUSTERS}/old", "management"),
        "PrivateEndpointFeatureNotSupportedOnResource",
    ),
    ("endpoint to nothing", f"{ENDPOINTS}/n", pe("used", f"{ACCOUNT}none"), "InvalidResourceReference"),
    ("endpoint in no subnet", f"{ENDPOINTS}/n", pe("none"), "InvalidResourceReference"),
    ("endpoint elsewhere", f"{ENDPOINTS}/n", pe("used", location="westeurope"), "InvalidResourceReference"),
    ("endpoint in full subnet", f"{ENDPOINTS}/n", pe("full"), "SubnetIsFull"),
    ("policies", f"{SUBNETS}/used", part("10.1.10.0/24", privateEndpointNetworkPolicies="Off"), "InvalidRequestFormat"),
    ("zone of one label", f"{ZONES}/local", {"location": "global"}, "BadRequest"),
    ("zone reserved", f"{ZONES}/windows.net", {"location": "global"}, "BadRequest"),
    ("zone in a region", f"{ZONES}/a.example", {"location": "eastus2"}, "LocationNotAvailableForResourceType"),
    (
        "zone linked twice",
        f"{ZONE}/virtualNetworkLinks/again",
        {"location": "global", "properties": {"virtualNetwork": {"id": VNET}}},
        "BadRequest",
    ),
    ("zone deleted while linked", f"DELETE {ZONE}", None, "409 CannotDeleteResource"),
    ("record no address", f"{ZONE}/A/n", {"properties": {"ttl": 60, "aRecords": [{"ipv4Address": "10.0.0"}]}}, "BadRequest"),
    ("record ttl", f"{ZONE}/A/n", {"properties": {"ttl": 0, "aRecords": [{"ipv4Address": "10.0.0.1"}]}}, "BadRequest"),
]


def test_every_refusal_has_azures_code_and_changes_nothing(arm: Arm) -> None:
    held(arm, CASES)
