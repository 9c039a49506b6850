"""Why a host does not reach a registry, in words: the rule, the tag that is missing, and the way out."""

from __future__ import annotations

import pytest
from tests import clouds
from tests.clouds import Cloud, nsg_path, rid, rule, vnet_path

from ringfence.policy import outbound, places, tags

GUARD = nsg_path("guard")


@pytest.fixture
def cloud() -> Cloud:
    """A host in a subnet from which nothing gets out."""
    made = Cloud()
    made.put("mygroup", {})
    made.put(GUARD, {})
    made.put(f"{GUARD}/securityRules/Closed", rule(200, "Deny", "Outbound"), location=None)
    made.put(vnet_path("a"), {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}})
    made.put(f"{vnet_path('a')}/subnets/default", clouds.subnet("10.1.0.0/24", GUARD), location=None)
    made.put(f"{vnet_path('a')}/subnets/default/locations/jump", {}, location=None)
    return made


def told(cloud: Cloud, address: str) -> str:
    host = next(p for p in places.places(cloud.snapshot) if p.subnet == rid(f"{vnet_path('a')}/subnets/default"))
    return outbound.explain(cloud.snapshot, host, address, 443)


def test_each_destination_has_its_tag_and_its_way_out(cloud: Cloud) -> None:
    images = told(cloud, tags.host("AzureContainerRegistry", "eastus2"))
    assert "AzureContainerRegistry.eastus2" in images and "private endpoint" in images
    assert "(AzureActiveDirectory is needed by a cluster that is a service principal" in images
    assert not any(tag in images for tag in ("Storage", "MicrosoftContainerRegistry", "AzureFrontDoor")), "a pull needs none"
    entra = told(cloud, tags.host("AzureActiveDirectory"))
    assert "--destination-address-prefixes AzureActiveDirectory" in entra and "private endpoint" not in entra
    inside = told(cloud, "10.1.0.200")
    assert "belongs to the service tag VirtualNetwork" in inside and "--destination-address-prefixes VirtualNetwork" in inside


def test_nothing_is_told_where_nothing_is_in_the_way(cloud: Cloud) -> None:
    cloud.put(f"{GUARD}/securityRules/Open", rule(100, "Allow", "Outbound"), location=None)
    assert told(cloud, tags.host("AzureContainerRegistry", "eastus2")) == ""
