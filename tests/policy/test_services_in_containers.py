"""Web services on Azure Container Instances: where they live, the limits of the seed document, what they consist of."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from tests.clouds import Cloud, environment, model, nsg_path, resource, rid, seed_cloud, subnet, vnet_path, ws_path
from tests.clouds import network as network_body
from tests.policy.test_container_groups import delegated

from ringfence.desired import build
from ringfence.desired.state import Container, Endpoint, Image, Router, Workload
from ringfence.model import errors
from ringfence.policy import container_groups, links, service_groups

VNET = vnet_path("mlnetwork", "mlgroup")
SERVICE = f"{ws_path()}/services/scorer"


def service(vnet: str | None = "mlnetwork", name: str = "aci", **more: Any) -> dict[str, Any]:
    """The properties of a service as `AciWebservice.deploy_configuration` leads to; vnet: a name, or None."""
    where = {} if vnet is None else {"vnetConfiguration": {"vnetName": vnet, "subnetName": name}}
    return {
        "computeType": "ACI",
        "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1},
        "environmentImageRequest": {"modelIds": ["diabetes:1"], "environment": environment("scikit-learn")},
        "authEnabled": True,
        "primaryKey": "first",
        "secondaryKey": "second",
        **where,
        **more,
    }


def ml_cloud() -> Cloud:
    """The seed's world with a network in the workspace's group that has a delegated subnet."""
    cloud = seed_cloud()
    model(cloud)
    subnets = {"subnets/aci": delegated("10.3.1.0/24"), "subnets/plain": subnet("10.3.2.0/24")}
    cloud.put(VNET, network_body("10.3.0.0/16"), also=subnets)
    return cloud


def endpoint(cloud: Cloud, target: str, vnet: str, name: str, group: str) -> None:
    """A private endpoint to a resource, in the subnet `default` or `plain` of a network."""
    connection = {"privateLinkServiceId": str(rid(target)), "groupIds": [group]}
    body = {
        "subnet": {"id": str(rid(f"{vnet}/subnets/{name}"))},
        "privateLinkServiceConnections": [{"name": "it", "properties": connection}],
    }
    cloud.put(f"{vnet.partition('/')[0]}/Microsoft.Network/privateEndpoints/pe", body)


def refused(cloud: Cloud, body: dict[str, Any], path: str = SERVICE) -> errors.Problem:
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as caught:
        cloud.put(path, body, location=None)
    assert cloud.snapshot is before
    return caught.value


def test_a_service_lives_in_the_subnet_at_a_private_address_and_no_public_one() -> None:
    cloud = ml_cloud()
    cloud.put(SERVICE, service(), location=None)
    found = cloud.snapshot.need(rid(SERVICE))
    group = service_groups.group_of(cloud.snapshot, found)
    assert group is not None and group.id.group == "mlgroup" and group.managed_by == found.key
    assert service_groups.url(cloud.snapshot, found) == "http://10.3.1.4:80/score"
    assert cloud.snapshot.value(group.id, container_groups.PUBLIC_ADDRESS) is None


def test_a_service_without_a_subnet_has_a_public_address_or_name() -> None:
    cloud = ml_cloud()
    cloud.put(SERVICE, service(None), location=None)
    url = service_groups.url(cloud.snapshot, cloud.snapshot.need(rid(SERVICE)))
    assert url is not None and url.startswith("http://198.19.") and url.endswith(":80/score")
    cloud.put(f"{SERVICE}2", service(None, dnsNameLabel="my-scorer"), location=None)
    named = service_groups.url(cloud.snapshot, cloud.snapshot.need(rid(f"{SERVICE}2")))
    assert named == "http://my-scorer.eastus2.azurecontainer.io:80/score"


def test_only_the_router_is_reached_and_it_looks_at_the_key() -> None:
    cloud = ml_cloud()
    cloud.put(SERVICE, service(), location=None)
    state = build.build(cloud.snapshot)
    (router,) = [item for item in state if isinstance(item, Router)]
    (workload,) = [item for item in state if isinstance(item, Workload)]
    (pulled,) = [item for item in state if isinstance(item, Image)]
    assert not [item for item in state if isinstance(item, Container)]
    assert router.root == "scorer" and router.port == 80 and router.endpoint == workload.endpoint == pulled.endpoint
    assert router.routes[0].auth and len(router.routes[0].keys) == 2
    assert [(target.address, target.port) for target in router.routes[0].targets] == [("127.0.0.1", 5001)]
    assert (workload.cpu, workload.memory_mb) == (0.5, 1024)
    where = state.items[router.endpoint]
    assert isinstance(where, Endpoint) and where.address == "10.3.1.4"


def test_a_service_goes_with_its_group_and_leaves_the_subnet() -> None:
    cloud = ml_cloud()
    cloud.put(SERVICE, service(), location=None)
    with pytest.raises(errors.Problem) as caught:
        cloud.delete(f"{VNET}/subnets/aci")
    assert caught.value.code == "InUseSubnetCannotBeDeleted"
    cloud.gone(SERVICE)
    assert not [item for item in build.build(cloud.snapshot) if isinstance(item, Workload | Router)]
    cloud.gone(f"{VNET}/subnets/aci")


def test_joining_the_subnet_is_a_linked_action_of_who_deploys() -> None:
    found = [link for link in links.actions(resource(SERVICE, service())) if link.action]
    assert [(link.target, link.action) for link in found] == [
        (rid(f"{VNET}/subnets/aci"), "Microsoft.Network/virtualNetworks/subnets/join/action"),
        (rid(f"{VNET}/subnets/aci"), "Microsoft.Network/virtualNetworks/join/action"),
    ]


def test_the_network_is_in_the_resource_group_of_the_workspace() -> None:
    problem = refused(ml_cloud(), service("mynetwork", "default"))
    assert problem.code == "VirtualNetworkNotFound"
    assert "There is one of that name in the resource group 'mygroup'" in problem.message


def test_the_subnet_is_delegated() -> None:
    problem = refused(ml_cloud(), service(name="plain"))
    assert problem.code == "SubnetMissingRequiredDelegation"


def test_the_network_is_that_of_the_workspaces_private_endpoint() -> None:
    cloud = ml_cloud()
    endpoint(cloud, ws_path(), vnet_path("mynetwork"), "default", "amlworkspace")
    problem = refused(cloud, service())
    assert problem.code == "VirtualNetworkIsNotThatOfThePrivateEndpoint" and "virtualNetworks/mynetwork" in problem.message
    cloud.put(SERVICE, service(None), location=None)
    same = ml_cloud()
    endpoint(same, ws_path(), VNET, "plain", "amlworkspace")
    same.put(SERVICE, service(), location=None)


def test_the_registry_of_the_workspace_is_not_in_the_network() -> None:
    registry = "mlgroup/Microsoft.ContainerRegistry/registries/images"

    def world(vnet: str, name: str) -> Cloud:
        cloud = ml_cloud()
        made = dataclasses.replace(resource(registry, {"adminUserEnabled": True}), sku={"name": "Premium"})
        cloud.snapshot = cloud.snapshot.changed([made])
        cloud.put(ws_path(), {"friendlyName": "ws", "containerRegistry": str(rid(registry))})
        endpoint(cloud, registry, vnet, name, "registry")
        return cloud

    problem = refused(world(VNET, "plain"), service())
    assert problem.code == "ContainerRegistryInVirtualNetwork"
    world(vnet_path("mynetwork"), "default").put(SERVICE, service(), location=None)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"containerResourceRequirements": {"cpu": 5, "memoryInGB": 1}}, "ServiceUnavailable"),
        ({"containerResourceRequirements": {"cpu": 1, "memoryInGB": 17}}, "ServiceUnavailable"),
        ({"dnsNameLabel": "my-scorer"}, "InvalidDnsNameLabel"),
        ({"sslEnabled": True}, "InvalidSslConfiguration"),
        ({"sslEnabled": True, "sslCertificate": "x", "sslKey": "y", "cname": "a.example.com"}, "InvalidSslConfiguration"),
        ({"encryptionProperties": {"vaultBaseUrl": "https://v", "keyName": "k", "keyVersion": "1"}}, "NotSupported"),
        ({"numReplicas": 2}, "NotSupported"),
        ({"computeName": "myaks"}, "NotSupported"),
        ({"location": "westeurope"}, "InvalidResourceReference"),
    ],
)
def test_what_a_service_in_a_container_may_not_be(change: dict[str, Any], code: str) -> None:
    assert refused(ml_cloud(), service() | change).code == code


def test_a_service_stays_where_it_is() -> None:
    cloud = ml_cloud()
    cloud.put(f"{VNET}/subnets/other", delegated("10.3.3.0/24"), location=None)
    cloud.put(SERVICE, service(), location=None)
    assert refused(cloud, service(name="other")).code == "ComputeCannotBeChanged"
    cloud.put(SERVICE, service(description="another"), location=None)


def test_rules_of_the_customer_hold_for_the_service() -> None:
    """A group on the subnet is judged at the service's address, as for every container group."""
    cloud = ml_cloud()
    cloud.put(nsg_path("guard", "mlgroup"), {})
    guarded = delegated("10.3.1.0/24") | {"networkSecurityGroup": {"id": str(rid(nsg_path("guard", "mlgroup")))}}
    cloud.put(f"{VNET}/subnets/aci", guarded, location=None)
    cloud.put(SERVICE, service(), location=None)
    filters = [item for item in build.build(cloud.snapshot) if item.key.startswith("filter/")]
    bindings = [b for item in filters for b in getattr(item, "bindings", ()) if b.address == "10.3.1.4"]
    assert bindings and bindings[0].subnet is not None and bindings[0].nic is not None
