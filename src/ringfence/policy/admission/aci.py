"""Web services on Azure Container Instances. Sources: the seed document, "Limitations: Azure Container Instances" and
"Enable Azure Container Instances"; RULES.md section 6; the contract of azureml-core section 7.

What holds for every service is in `ml`, for every container group in `containers`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import errors, ml, network, private_link, serving
from ringfence.model.ids import ResourceId
from ringfence.policy import firewalls, places, registries, service_groups
from ringfence.policy import private_link as targets
from ringfence.policy.admission import containers, tls
from ringfence.policy.admission.case import Case, Finding, unsupported

_VNET, _SUBNET = "vnetConfiguration.vnetName", "vnetConfiguration.subnetName"


def service(case: Case) -> serving.Service:
    return service_groups.of(case.new)


def network_is_in_the_workspaces_group(case: Case) -> Iterator[Finding]:
    """The seed document: the virtual network is in the same resource group as the workspace."""
    subnet = service_groups.subnet_of(case.new)
    if subnet is None or case.snapshot.get(subnet.parent) is not None:
        return
    twins = [r for r in places.alive(case.snapshot, network.VIRTUAL_NETWORK) if r.id.name.lower() == subnet.parent.name.lower()]
    elsewhere = f" There is one of that name in the resource group '{twins[0].id.group}'." if twins else ""
    yield errors.Invalid(
        "VirtualNetworkNotFound",
        f"The virtual network '{subnet.parent.name}' was not found in the resource group '{subnet.group}' of the workspace. With "
        f"Azure Container Instances, the virtual network has to be in the workspace's resource group.{elsewhere}",
        target=_VNET,
    )


def subnet_takes_the_group(case: Case) -> Iterator[Finding]:
    """The subnet exists, is delegated to container groups, and is where the service is."""
    subnet = service_groups.subnet_of(case.new)
    group = case.snapshot.get(service_groups.group_id(case.new))
    if subnet is None or group is None or case.snapshot.get(subnet.parent) is None:
        return
    vnet = case.snapshot.need(subnet.parent)
    if vnet.region != group.region:
        yield errors.Invalid(
            "InvalidResourceReference",
            f"The virtual network '{vnet.id.name}' is in '{vnet.region}' and the service in '{group.region}'. Please make sure "
            "that both are in the same region.",
            target=_VNET,
        )
    yield from containers.lives_in(case.snapshot, group, _SUBNET)


def network_is_that_of_the_private_endpoint(case: Case) -> Iterator[Finding]:
    """The seed document: with a private endpoint of the workspace, the same virtual network as that one's."""
    subnet, workspace = service_groups.subnet_of(case.new), case.new.id.parent
    used = {vnet.key: vnet for vnet in _networks_of_endpoints(case, workspace)}
    if subnet is not None and used and subnet.parent.key not in used:
        names = ", ".join(str(vnet) for _, vnet in sorted(used.items()))
        yield errors.Invalid(
            "VirtualNetworkIsNotThatOfThePrivateEndpoint",
            f"The workspace '{workspace.name}' has a private endpoint in {names}. With Azure Container Instances, the virtual "
            f"network has to be the same; {subnet.parent} is another one.",
            target=_VNET,
        )


def registry_is_outside_of_the_network(case: Case) -> Iterator[Finding]:
    """The seed document: the workspace's registry is not in the virtual network, by private or service endpoint."""
    subnet, workspace = service_groups.subnet_of(case.new), case.snapshot.get(case.new.id.parent)
    named = registries.of_workspace(case.snapshot, workspace) if workspace is not None else None
    if subnet is None or named is None:
        return
    inside = {vnet.key for vnet in _networks_of_endpoints(case, named.id)}
    inside |= {one.parent.key for _, one in firewalls.subnets(named)}
    if subnet.parent.key in inside:
        yield errors.Invalid(
            "ContainerRegistryInVirtualNetwork",
            f"The container registry {named.id} of the workspace is in the virtual network {subnet.parent}. With Azure Container "
            "Instances in a virtual network, the workspace's registry cannot be in that network. Use another of either.",
            target=_VNET,
        )


def _networks_of_endpoints(case: Case, target: ResourceId) -> Iterator[ResourceId]:
    """The networks in which a resource has private endpoints."""
    for one in targets.endpoints(case.snapshot):
        assert isinstance(one.properties, private_link.PrivateEndpoint)
        if one.properties.target == target:
            yield one.properties.subnet.target.parent


def group_is_possible(case: Case) -> Iterator[Finding]:
    """The container group behind the service is held to what holds for every one."""
    group = case.snapshot.get(service_groups.group_id(case.new))
    if group is None:
        return
    inner = Case(case.snapshot, group, None)
    for rule in (containers.resources_fit, containers.address_fits_its_network, containers.label_is_free):
        yield from rule(inner)


def tls_is_complete(case: Case) -> Iterator[Finding]:
    """A certificate, its key and its name come together and hold."""
    asked = service(case)
    if not asked.ssl_enabled:
        return
    parts = {"sslCertificate": asked.ssl_certificate, "sslKey": asked.ssl_key, "cname": asked.cname}
    missing = [name for name, value in parts.items() if not value]
    if missing:
        message = f"With sslEnabled, sslCertificate, sslKey and cname are all required; {missing[0]} is missing."
        yield errors.Invalid("InvalidSslConfiguration", message, target=missing[0])
        return
    old = service_groups.of(case.old) if case.old is not None else None
    own = ml.SslConfiguration(status=ml.SslStatus.ENABLED, cert=asked.ssl_certificate, key=asked.ssl_key, cname=asked.cname)
    if old is None or (old.ssl_certificate, old.ssl_key, old.cname) != (own.cert, own.key, own.cname):
        yield from tls.certificate_fits(own, case.new.changed_at)


def service_stays(case: Case) -> Iterator[Finding]:
    """Where a service runs does not change."""
    if case.old is None:
        return
    old, new = service_groups.of(case.old), service(case)
    same = (
        service_groups.is_hosted(case.old) == service_groups.is_hosted(case.new),
        service_groups.subnet_of(case.old) == service_groups.subnet_of(case.new),
        (old.location or "") == (new.location or ""),
    )
    if not all(same):
        message = f"The service '{case.new.id.name}' stays where it is. Delete it and deploy it again."
        yield errors.Invalid("ComputeCannotBeChanged", message, target="computeType")


def service_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would be promised and not kept."""
    asked = service(case)
    if asked.encryption_properties is not None:
        yield unsupported("encryption with a key of your own", "encryptionProperties")
    if asked.aad_auth_enabled:
        yield unsupported("token authentication on Azure Container Instances", "aadAuthEnabled", "Use keys.")
    if asked.compute_name:
        yield unsupported("a compute for a service on Azure Container Instances", "computeName")
    if asked.replicas != 1 or asked.auto_scaler.autoscale_enabled:
        yield unsupported("several replicas on Azure Container Instances", "numReplicas", "Deploy to AKS.")


_RULES = (
    service_stays,
    network_is_in_the_workspaces_group,
    subnet_takes_the_group,
    network_is_that_of_the_private_endpoint,
    registry_is_outside_of_the_network,
    group_is_possible,
    tls_is_complete,
    service_is_enforceable,
)


def rules_hold(case: Case) -> Iterator[Finding]:
    """All of the above, for a service that is not on a cluster."""
    if service_groups.is_hosted(case.new) or (case.old is not None and service_groups.is_hosted(case.old)):
        for rule in _RULES:
            yield from rule(case)
