"""Delegated subnets and container groups: who may live where, with Azure's codes (RULES.md sections 6 and 7)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.clouds import Cloud, aks, network, resource, rid, seed_cloud, subnet, vnet_path, ws_path

from ringfence.desired import build
from ringfence.desired.state import Endpoint, Network
from ringfence.model import containers, errors
from ringfence.policy import admission, container_groups, links, names, places

VNET = vnet_path("mynetwork")
SERVICE = "Microsoft.ContainerInstance/containerGroups"
GROUP = f"mygroup/{SERVICE}/app"
PROFILE = "mygroup/Microsoft.Network/networkProfiles/profile"


def delegated(prefix: str, service: str = SERVICE) -> dict[str, Any]:
    return subnet(prefix, delegations=[{"name": "0", "properties": {"serviceName": service}}])


def container(name: str = "app", cpu: float = 1.0, memory: float = 1.5, **more: Any) -> dict[str, Any]:
    requests = {"cpu": cpu, "memoryInGB": memory}
    return {"name": name, "properties": {"image": "reg.azurecr.io/app:1", "resources": {"requests": requests}, **more}}


def group(where: str | None = f"{VNET}/subnets/aci", **more: Any) -> dict[str, Any]:
    """A group with one container and port 80; where: the path of its subnet, or None for the internet."""
    address = {"type": "Public" if where is None else "Private", "ports": [{"port": 80, "protocol": "tcp"}]}
    body: dict[str, Any] = {"osType": "Linux", "containers": [container()], "ipAddress": address}
    return body | ({} if where is None else {"subnetIds": [{"id": str(rid(where))}]}) | more


def aci_cloud() -> Cloud:
    cloud = seed_cloud()
    cloud.put(f"{VNET}/subnets/aci", delegated("10.1.8.0/24"), location=None)
    return cloud


def refused(cloud: Cloud, path: str, body: dict[str, Any], **more: Any) -> errors.Problem:
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as caught:
        cloud.put(path, body, **more)
    assert cloud.snapshot is before
    return caught.value


def test_a_group_lives_in_its_delegated_subnet_at_a_private_address_and_at_no_public_one() -> None:
    cloud = aci_cloud()
    cloud.put(GROUP, group())
    found = cloud.snapshot.need(rid(GROUP))
    assert container_groups.address(cloud.snapshot, found) == "10.1.8.4"
    assert cloud.snapshot.value(found.id, container_groups.PUBLIC_ADDRESS) is None
    place = next(p for p in places.places(cloud.snapshot) if p.owner == found.key)
    assert (place.subnet, place.address) == (rid(f"{VNET}/subnets/aci"), "10.1.8.4")
    assert any(isinstance(item, Endpoint) and item.address == "10.1.8.4" for item in build.build(cloud.snapshot))


def test_a_group_without_a_subnet_has_a_public_address_in_a_network_of_its_own_that_nobody_sees() -> None:
    cloud = seed_cloud()
    body = group(None)
    body["ipAddress"]["dnsNameLabel"] = "hello-app"
    cloud.put(GROUP, body)
    found = cloud.snapshot.need(rid(GROUP))
    address = container_groups.address(cloud.snapshot, found)
    assert address is not None and address.startswith("198.19.")
    assert names.hosts(cloud.snapshot)["hello-app.eastus2.azurecontainer.io"] == address
    where = container_groups.subnet_of(cloud.snapshot, found)
    assert where is not None and where.subscription == container_groups.PLATFORM_SUBSCRIPTION
    count = sum(isinstance(item, Network) for item in build.build(cloud.snapshot))
    cloud.gone(GROUP)
    assert sum(isinstance(item, Network) for item in build.build(cloud.snapshot)) == count - 1


def test_a_subnet_that_is_not_delegated_takes_no_group() -> None:
    problem = refused(aci_cloud(), GROUP, group(f"{VNET}/subnets/default"))
    assert problem.code == "SubnetMissingRequiredDelegation"
    assert "required delegation 'Microsoft.ContainerInstance' for container group 'app'" in problem.message


def test_a_subnet_of_another_service_takes_no_group() -> None:
    cloud = aci_cloud()
    cloud.put(f"{VNET}/subnets/web", delegated("10.1.9.0/24", "Microsoft.Web/serverFarms"), location=None)
    problem = refused(cloud, GROUP, group(f"{VNET}/subnets/web"))
    assert problem.code == "SubnetWithExternalResourcesCannotBeUsedByOtherResources"


def test_an_unknown_service_is_no_delegation() -> None:
    problem = refused(aci_cloud(), f"{VNET}/subnets/x", delegated("10.1.9.0/24", "Microsoft.Sql/servers"), location=None)
    assert problem.code == "InvalidServiceNameOnDelegation"
    assert SERVICE in problem.message


def test_a_delegation_stays_while_a_group_uses_the_subnet_and_goes_after_it() -> None:
    cloud = aci_cloud()
    cloud.put(GROUP, group())
    plain = subnet("10.1.8.0/24")
    assert refused(cloud, f"{VNET}/subnets/aci", plain, location=None).code == (
        "SubnetDelegationsCannotChangeWhenSubnetUsedByResource"
    )
    with pytest.raises(errors.Problem) as caught:
        cloud.delete(f"{VNET}/subnets/aci")
    assert caught.value.code == "InUseSubnetCannotBeDeleted"
    assert "containerGroups/app" in caught.value.message
    cloud.gone(GROUP)
    cloud.put(f"{VNET}/subnets/aci", plain, location=None)


def test_a_subnet_that_others_use_cannot_be_delegated() -> None:
    cloud = seed_cloud()
    nic = {"ipConfigurations": [{"name": "a", "properties": {"subnet": {"id": str(rid(f"{VNET}/subnets/default"))}}}]}
    cloud.put("mygroup/Microsoft.Network/networkInterfaces/nic", nic)
    problem = refused(cloud, f"{VNET}/subnets/default", delegated("10.1.0.0/22"), location=None)
    assert problem.code == "SubnetDelegationsCannotChangeWhenSubnetUsedByResource"
    assert f"from [] to [{SERVICE}]" in problem.message


def test_nobody_else_lives_in_a_delegated_subnet() -> None:
    cloud = aci_cloud()
    nic = {"ipConfigurations": [{"name": "a", "properties": {"subnet": {"id": str(rid(f"{VNET}/subnets/aci"))}}}]}
    assert refused(cloud, "mygroup/Microsoft.Network/networkInterfaces/nic", nic).code == (
        "SubnetWithExternalResourcesCannotBeUsedByOtherResources"
    )
    assert refused(cloud, f"{ws_path()}/computes/myaks", aks(VNET, subnet="aci")).code == "SubnetIsDelegated"
    inside = aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="aci")
    assert refused(cloud, f"{ws_path()}/computes/myaks", inside).code == "SubnetIsDelegated"


def test_a_network_profile_leads_older_clients_to_the_subnet() -> None:
    cloud = aci_cloud()

    def profile(name: str) -> dict[str, Any]:
        subnet_id = {"subnet": {"id": str(rid(f"{VNET}/subnets/{name}"))}}
        interface = {"ipConfigurations": [{"name": "ip", "properties": subnet_id}]}
        return {"containerNetworkInterfaceConfigurations": [{"name": "eth0", "properties": interface}]}

    assert refused(cloud, PROFILE, profile("default")).code == "SubnetMissingRequiredDelegation"
    cloud.put(PROFILE, profile("aci"))
    cloud.put(
        GROUP, group(None, ipAddress={"type": "Private", "ports": [{"port": 80}]}, networkProfile={"id": str(rid(PROFILE))})
    )
    assert container_groups.address(cloud.snapshot, cloud.snapshot.need(rid(GROUP))) == "10.1.8.4"


def test_joining_a_subnet_is_a_linked_action() -> None:
    (link,) = links.links(resource(GROUP, group()))
    assert link.target == rid(f"{VNET}/subnets/aci")
    assert link.action == "Microsoft.Network/virtualNetworks/subnets/join/action"


def test_the_subnet_is_in_the_region_of_the_group() -> None:
    problem = refused(aci_cloud(), GROUP, group(), location="westeurope")
    assert problem.code == "InvalidResourceReference"


def test_a_full_subnet_takes_no_more() -> None:
    cloud = seed_cloud()
    cloud.put(vnet_path("small"), network("10.9.0.0/16"), also={"subnets/aci": delegated("10.9.0.0/29")})
    for number in range(3):
        cloud.put(f"{GROUP}{number}", group(f"{vnet_path('small')}/subnets/aci"))
    assert refused(cloud, f"{GROUP}3", group(f"{vnet_path('small')}/subnets/aci")).code == "SubnetIsFull"


_ADDRESS = {"type": "Private", "ports": [{"port": 80}]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ipAddress": {**_ADDRESS, "type": "Public"}}, "InvalidIPAddressType"),
        ({"ipAddress": {**_ADDRESS, "dnsNameLabel": "hello-app"}}, "InvalidDnsNameLabel"),
        ({"ipAddress": {**_ADDRESS, "ports": []}}, "MissingIpAddressPorts"),
        ({"ipAddress": {**_ADDRESS, "ports": [{"port": 80}, {"port": 80}]}}, "InvalidIpAddressPorts"),
        ({"ipAddress": {**_ADDRESS, "ports": [{"port": n} for n in range(1, 7)]}}, "InvalidIpAddressPorts"),
        ({"osType": "Windows"}, "NotSupported"),
        ({"osType": None}, "InvalidOsType"),
        ({"containers": []}, "InvalidContainerGroup"),
        ({"containers": [container(), container()]}, "InvalidContainerName"),
        ({"containers": [container("App")]}, "InvalidContainerName"),
        ({"containers": [{"name": "a", "properties": {"image": "x:1"}}]}, "ResourceRequestsNotSpecified"),
        ({"containers": [container(cpu=4.5)]}, "ServiceUnavailable"),
        ({"containers": [container(memory=16.5)]}, "ServiceUnavailable"),
        ({"containers": [container("a", 2, 8), container("b", 2.5, 8)]}, "ServiceUnavailable"),
        ({"containers": [container(cpu=0)]}, "InvalidResourceRequests"),
        ({"containers": [container(image="")]}, "InvalidImageName"),
        ({"containers": [container(volumeMounts=[{"name": "v", "mountPath": "/v"}])]}, "VolumeMountNotFound"),
        ({"containers": [container(environmentVariables=[{"name": "a=b", "value": "x"}])]}, "InvalidEnvironmentVariable"),
        ({"containers": [container(livenessProbe={"httpGet": {"port": 80}})]}, "NotSupported"),
        ({"volumes": [{"name": "v", "azureFile": {"shareName": "s"}}]}, "NotSupported"),
        ({"volumes": [{"name": "v", "secret": {"f": "not base64!"}}]}, "InvalidSecretVolume"),
        ({"initContainers": [{"name": "i"}]}, "NotSupported"),
        ({"diagnostics": {"logAnalytics": {"workspaceId": "x"}}}, "NotSupported"),
        ({"sku": "Confidential"}, "NotSupported"),
        ({"priority": "Spot"}, "NotSupported"),
    ],
)
def test_what_a_group_may_not_be(change: dict[str, Any], code: str) -> None:
    assert refused(aci_cloud(), GROUP, group() | change).code == code


@pytest.mark.parametrize("limits", [{"cpu": 0.5, "memoryInGB": 1.5}, {"cpu": 1.0, "memoryInGB": 1.0}])
def test_a_limit_is_not_below_its_request(limits: dict[str, float]) -> None:
    one = container()
    one["properties"]["resources"]["limits"] = limits
    assert refused(aci_cloud(), GROUP, group(containers=[one])).code == "ResourceLimitsLessThanRequests"


def test_a_limit_is_not_above_what_the_group_asks_for() -> None:
    one = container()
    one["properties"]["resources"]["limits"] = {"cpu": 1.5}
    assert refused(aci_cloud(), GROUP, group(containers=[one])).code == "ContainerLimitGreaterThanContainerGroupTotalRequest"
    aci_cloud().put(GROUP, group(containers=[one, container("other", 0.5, 0.5)]))


def test_a_private_address_needs_a_subnet() -> None:
    assert refused(seed_cloud(), GROUP, group(None, ipAddress=_ADDRESS)).code == "InvalidIPAddressType"


def test_a_label_belongs_to_one_group() -> None:
    cloud, body = seed_cloud(), group(None)
    body["ipAddress"]["dnsNameLabel"] = "hello-app"
    cloud.put(GROUP, body)
    assert refused(cloud, f"{GROUP}2", body).code == "DnsNameLabelNotAvailable"


@pytest.mark.parametrize(
    "change",
    [
        {"restartPolicy": "Never"},
        {"containers": [container(cpu=2)]},
        {"subnetIds": [{"id": str(rid(f"{VNET}/subnets/other"))}]},
    ],
)
def test_some_things_of_a_group_never_change(change: dict[str, Any]) -> None:
    cloud = aci_cloud()
    cloud.put(f"{VNET}/subnets/other", delegated("10.1.9.0/24"), location=None)
    cloud.put(GROUP, group())
    assert refused(cloud, GROUP, group() | change).code == "InvalidContainerGroupUpdate"
    cloud.put(GROUP, group(containers=[container(image="reg.azurecr.io/app:2")]))


def test_documents_show_no_secret() -> None:
    secret = {"name": "S", "secureValue": "hidden"}
    body = group(
        containers=[container(environmentVariables=[secret, {"name": "P", "value": "shown"}])],
        imageRegistryCredentials=[{"server": "reg.azurecr.io", "username": "u", "password": "hidden"}],
        volumes=[{"name": "v", "secret": {"file": "aGlkZGVu"}}],
    )
    asked = resource(GROUP, body).properties
    assert isinstance(asked, containers.ContainerGroup)
    shown = containers.secret_free(asked).model_dump_json(by_alias=True, exclude_none=True)
    assert "hidden" not in shown and "aGlkZGVu" not in shown
    assert '"name":"S"' in shown and "shown" in shown and "file" in shown
    assert "hidden" not in repr(asked)


def test_a_group_is_checked_by_all_rules_of_its_type() -> None:
    cloud = aci_cloud()
    problems, _ = admission.check(cloud.snapshot, resource(GROUP.replace("app", "App_1"), group()), None)
    assert [problem.code for problem in problems] == ["InvalidContainerGroupName"]
