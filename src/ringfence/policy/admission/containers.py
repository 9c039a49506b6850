"""Container groups and network profiles. Sources: RULES.md sections 6, 7 and 10; the resource and quota limits of Azure
Container Instances (container-instances-resource-and-quota-limits, -container-groups, -update); Azure's answers quoted in
virtual-kubelet#143, azure-aci#149, mslearn-azure-developer#67, farmer#125 and azurerm#19579.

What one container may hold is in `container`; delegation itself in `delegations`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ringfence.model import containers, errors, network
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import container_groups
from ringfence.policy.admission import delegations, interfaces
from ringfence.policy.admission.case import Case, Finding, unsupported

#: Of one group in a subnet or on the internet: cores, GB, containers, exposed ports.
MOST_CORES, MOST_GB, MOST_CONTAINERS, MOST_PORTS = 4.0, 16.0, 60, 5
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z][a-z0-9-]{3,61}[a-z0-9]")


def group(case: Case) -> containers.ContainerGroup:
    return container_groups.of(case.new)


def name_is_allowed(case: Case) -> Iterator[Finding]:
    """Lower-case letters, digits and hyphens."""
    if case.old is None and not _NAME.fullmatch(case.new.id.name):
        yield errors.Invalid(
            "InvalidContainerGroupName",
            f"The container group name '{case.new.id.name[:100]}' is invalid. It has 1 to 63 lower-case letters, digits and "
            "'-', and begins and ends with a letter or digit.",
            target="name",
        )


def has_containers(case: Case) -> Iterator[Finding]:
    """From one to sixty, each of another name."""
    names = [one.name for one in group(case).containers]
    if not 1 <= len(names) <= MOST_CONTAINERS:
        message = f"The container group '{case.new.id.name}' has {len(names)} containers; it has 1 to {MOST_CONTAINERS}."
        yield errors.Invalid("InvalidContainerGroup", message, target="properties.containers")
    for number, name in enumerate(names):
        if not _NAME.fullmatch(name) or name in names[:number]:
            yield errors.Invalid(
                "InvalidContainerName",
                f"The container name '{name[:100]}' in container group '{case.new.id.name}' is invalid. Names are unique in a "
                "group, and have 1 to 63 lower-case letters, digits and '-'.",
                target=f"properties.containers[{number}].name",
            )


def system_is_linux(case: Case) -> Iterator[Finding]:
    """RULES.md section 6: Linux, and nothing else in a subnet."""
    asked, target = group(case).os_type, "properties.osType"
    if asked is None:
        message = f"The 'osType' for container group '{case.new.id.name}' is invalid. The value must be one of 'Windows,Linux'."
        yield errors.Invalid("InvalidOsType", message, target=target)
    elif asked is containers.OsType.WINDOWS:
        yield unsupported("containers of Windows", target, "Use Linux.")


def resources_fit(case: Case) -> Iterator[Finding]:
    """What all containers ask for together, and no limit above it."""
    asked = [one.properties.resources.requests for one in group(case).containers]
    cpu = sum(one.cpu or 0.0 for one in asked if one is not None)
    memory = sum(one.memory_in_gb or 0.0 for one in asked if one is not None)
    if cpu > MOST_CORES or memory > MOST_GB:
        yield errors.Conflict(
            "ServiceUnavailable",
            f"The requested resource is not available in the location '{case.new.region}' at this moment. Please retry with a "
            f"different resource request or in another location. Resource requested: '{cpu:g}' CPU '{memory:g}' GB memory "
            f"'Linux' OS. A container group has at most {MOST_CORES:g} CPU and {MOST_GB:g} GB.",
            target="properties.containers",
        )
    for number, one in enumerate(group(case).containers):
        limits = one.properties.resources.limits
        for name, limit, total in (
            ("Cpu", limits.cpu if limits else None, cpu),
            ("MemoryInGB", limits.memory_in_gb if limits else None, memory),
        ):
            if limit is not None and limit > total:
                yield errors.Invalid(
                    "ContainerLimitGreaterThanContainerGroupTotalRequest",
                    f"The '{name}' limit '{limit:g}' in container '{one.name}' is greater than the total request '{total:g}' of "
                    f"container group '{case.new.id.name}'.",
                    target=f"properties.containers[{number}].properties.resources.limits",
                )


def ports_are_valid(case: Case) -> Iterator[Finding]:
    """An address exposes one to five ports, each once."""
    asked, target = group(case).ip_address, "properties.ipAddress.ports"
    if asked is None:
        return
    if not asked.ports:
        message = f"The ports in the 'ipAddress' of container group '{case.new.id.name}' cannot be empty."
        yield errors.Invalid("MissingIpAddressPorts", message, target=target)
    if len(asked.ports) > MOST_PORTS:
        message = f"The container group '{case.new.id.name}' exposes {len(asked.ports)} ports; it may expose {MOST_PORTS}."
        yield errors.Invalid("InvalidIpAddressPorts", message, target=target)
    seen = set()
    for one in asked.ports:
        if not 1 <= one.port <= 65535 or (one.protocol, one.port) in seen:
            message = f"The port {one.port} of container group '{case.new.id.name}' is invalid: from 1 to 65535, each once."
            yield errors.Invalid("InvalidIpAddressPorts", message, target=target)
        seen.add((one.protocol, one.port))


def address_fits_its_network(case: Case) -> Iterator[Finding]:
    """RULES.md section 6: no public address and no DNS name label with a subnet; a private one with a subnet only."""
    asked, name = group(case), case.new.id.name
    address, target = asked.ip_address, "properties.ipAddress"
    if address is None:
        return
    if asked.in_network and asked.public:
        yield errors.Invalid(
            "InvalidIPAddressType",
            f"IP Address type in container group '{name}' is invalid. IP Address type can't be public when network profile or "
            "subnet is set. Use Private.",
            target=f"{target}.type",
        )
    if not asked.in_network and not asked.public:
        yield errors.Invalid(
            "InvalidIPAddressType",
            f"IP Address type in container group '{name}' is invalid. Private IP address is only supported when network profile "
            "or subnet is defined.",
            target=f"{target}.type",
        )
    if address.dns_name_label and not asked.public:
        message = f"DNS name label for container group '{name}' is only supported when IP Address type is public."
        yield errors.Invalid("InvalidDnsNameLabel", message, target=f"{target}.dnsNameLabel")


def label_is_free(case: Case) -> Iterator[Finding]:
    """A host name belongs to one group."""
    name, address = container_groups.host_name(case.new), group(case).ip_address
    if name is None or address is None:
        return
    target = "properties.ipAddress.dnsNameLabel"
    if not _LABEL.fullmatch(name.partition(".")[0]):
        message = (
            f"The DNS name label '{(address.dns_name_label or '')[:100]}' is invalid. It has 5 to 63 letters, digits and '-'."
        )
        yield errors.Invalid("InvalidDnsNameLabel", message, target=target)
    if (address.auto_generated_domain_name_label_scope or "Unsecure").lower() not in ("unsecure", "noreuse"):
        yield unsupported(
            "a generated part of a DNS name", "properties.ipAddress.autoGeneratedDomainNameLabelScope", "Use Unsecure."
        )
    others = case.snapshot.of_type(containers.CONTAINER_GROUP)
    if any(container_groups.host_name(other) == name for other in others if other.key != case.new.key):
        message = f"The DNS name label '{address.dns_name_label}' in container group '{case.new.id.name}' not available in region"
        yield errors.Conflict("DnsNameLabelNotAvailable", f"{message} '{case.new.region}'.", target=target)


def subnet_is_delegated(case: Case) -> Iterator[Finding]:
    """RULES.md section 7: one subnet, delegated to container groups, and to nothing else."""
    asked = group(case)
    if len(asked.subnet_ids) > 1 or (asked.subnet_ids and asked.network_profile is not None):
        message = f"The container group '{case.new.id.name}' names several subnets; it lives in one."
        yield errors.Invalid("InvalidSubnetIds", message, target="properties.subnetIds")
    elif asked.in_network:
        target = "properties.subnetIds[0].id" if asked.subnet_ids else "properties.networkProfile.id"
        yield from lives_in(case.snapshot, case.new, target)


def lives_in(snapshot: Snapshot, resource: Resource, target: str) -> Iterator[Finding]:
    """Whether a group may live in the subnet it names. target: the field that names it."""
    where = container_groups.subnet_of(snapshot, resource)
    found = snapshot.get(where) if where is not None else None
    if found is None or not isinstance(found.properties, network.Subnet):
        message = (
            f"The container group '{resource.id.name}' names no subnet that exists: {where or 'its network profile has none'}."
        )
        yield errors.Invalid("InvalidResourceReference", message, target=target)
    elif found.properties.delegated_to is None:
        yield delegations.missing(found, resource.id.name, target)
    elif not delegations.for_containers(found):
        yield from interfaces.delegated(resource, found)


def update_is_possible(case: Case) -> Iterator[Finding]:
    """What a group has to be deleted and made again for (container-instances-update)."""
    if case.old is None:
        return
    old, new = container_groups.of(case.old), group(case)
    fixed = (
        old.os_type == new.os_type,
        old.restart_policy == new.restart_policy,
        [one.key for one in old.subnet_ids] == [one.key for one in new.subnet_ids],
        old.network_profile == new.network_profile,
        _amounts(old) == _amounts(new),
    )
    if not all(fixed):
        yield errors.Invalid(
            "InvalidContainerGroupUpdate",
            f"The updates on container group '{case.new.id.name}' are invalid. If you are going to update the os type, restart "
            "policy, network profile, CPU, memory or GPU resources for a container group, you must delete it first and then "
            "create a new one.",
            target=str(case.new.id),
        )


def _amounts(asked: containers.ContainerGroup) -> list[tuple[str, object]]:
    return [(one.name, one.properties.resources) for one in asked.containers]


def service_keeps_its_own(case: Case) -> Iterator[Finding]:
    """A group that a web service made for itself changes with the service."""
    if case.old is None or case.old.managed_by is None:
        return
    owner = case.snapshot.get(case.old.managed_by)
    old = container_groups.of(case.old).model_copy(update={"run": group(case).run})
    if owner is not None and owner.state is not ProvisioningState.DELETING and old != group(case):
        message = f"The container group {case.new.id} belongs to the web service '{owner.id.name}'. Update the service instead."
        yield errors.Conflict("ContainerGroupManagedByService", message, target=str(case.new.id))


def group_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would be promised and not kept."""
    asked, path = group(case), "properties"
    for what, given, field in (
        ("init containers", asked.init_containers, "initContainers"),
        ("name servers of your own", asked.dns_config, "dnsConfig"),
        ("diagnostics of container groups", asked.diagnostics, "diagnostics"),
        ("encryption with a key of your own", asked.encryption_properties, "encryptionProperties"),
        ("confidential computing", asked.confidential_compute_properties, "confidentialComputeProperties"),
        ("profiles of container groups", asked.container_group_profile, "containerGroupProfile"),
        ("standby pools", asked.standby_pool_profile, "standbyPoolProfile"),
        ("extensions", asked.extensions, "extensions"),
    ):
        if given:
            yield unsupported(what, f"{path}.{field}")
    if (asked.sku or "Standard").lower() != "standard":
        yield unsupported(f"the SKU '{(asked.sku or '')[:50]}'", f"{path}.sku", "Use Standard.")
    if (asked.priority or "Regular").lower() != "regular":
        yield unsupported(f"the priority '{(asked.priority or '')[:50]}'", f"{path}.priority", "Use Regular.")
    if asked.public and asked.ip_address is not None:
        for one in asked.ip_address.ports:
            if one.protocol is containers.Transport.UDP:
                yield unsupported("UDP ports on a public address", f"{path}.ipAddress.ports", "Use TCP, or a subnet.")


def profile_has_one_subnet(case: Case) -> Iterator[Finding]:
    """A network profile leads to one subnet, which is delegated."""
    assert isinstance(case.new.properties, containers.NetworkProfile)
    subnets = case.new.properties.subnets
    target = "properties.containerNetworkInterfaceConfigurations"
    if len(subnets) != 1:
        yield unsupported(f"a network profile with {len(subnets)} IP configurations", target, "Give one.")
        return
    found = case.snapshot.get(subnets[0].target)
    if found is not None and isinstance(found.properties, network.Subnet) and not delegations.for_containers(found):
        yield delegations.missing(found, case.new.id.name, target)


GROUP_SHAPE = (name_is_allowed, has_containers, system_is_linux)
GROUP_RULES = (
    service_keeps_its_own,
    resources_fit,
    ports_are_valid,
    address_fits_its_network,
    label_is_free,
    subnet_is_delegated,
    update_is_possible,
    group_is_enforceable,
)
PROFILE_RULES = (profile_has_one_subnet,)
