"""References: targets that have to exist, in the right place, and what may not go because something refers to it.

Sources: RULES.md sections 1, 4.1, 7 and 10.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ringfence.model import balancing, compute, errors, ml, network, private_dns, private_link, serving
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import clusters, companions, links, places
from ringfence.policy.admission.case import Case, Finding

_SAME_REGION = frozenset(
    {network.VIRTUAL_NETWORK, network.SUBNET, network.SECURITY_GROUP, balancing.PUBLIC_ADDRESS, balancing.BALANCER}
)
#: Types that refer to networks of any region.
_ANYWHERE = frozenset({private_dns.LINK})


def targets_exist(case: Case) -> Iterator[Finding]:
    """Every resource that is referred to is of the type that belongs there, exists, is in the same region, and stays."""
    for link in links.references(case.new):
        found, type = case.snapshot.get(link.target), _type(link)
        if type is not None and link.target.type.lower() != type.lower():
            yield _wrong_type(case.new, link, type)
        elif found is None or found.state is ProvisioningState.DELETING:
            yield _missing(case.new, link)
        elif _apart(case.snapshot, case.new, found):
            yield errors.Invalid(
                "InvalidResourceReference",
                f"Resource {found.id} referenced by resource {case.new.id} was not found in its subscription and region "
                f"'{_region(case.snapshot, case.new)}'. Please make sure that both resources are in the same region.",
                target=link.field,
            )


def _type(link: links.Link) -> str | None:
    """The type that a reference is to, where the action that it takes names it."""
    type, _, verb = link.action.removesuffix("/action").rpartition("/")
    return type if verb in ("join", "peer") and not type.endswith("/backendAddressPools") else None


def _wrong_type(resource: Resource, link: links.Link, type: str) -> errors.Invalid:
    """Azure: a fault of the request's form, with what it is about in the details."""
    message = (
        f"Reference Id {link.target} is referencing resource of a wrong type. The Id is expected to reference resources of type "
        f"{type}. Path {link.field} of {resource.id}. Give the id of such a resource."
    )
    if not resource.type.startswith("microsoft.network/"):
        return errors.Invalid("LinkedInvalidPropertyId", message, target=link.field)
    detail = errors.Invalid("InvalidJsonReferenceWrongType", message, target=link.field)
    return errors.Invalid("InvalidRequestFormat", f"Cannot parse the request. {message}", target=link.field, details=(detail,))


def _missing(resource: Resource, link: links.Link) -> errors.Invalid:
    """A missing subnet is described by its network and group, because that is where it is looked for."""
    where = ""
    if link.target.type.lower() == network.SUBNET:
        where = (
            f" There is no subnet '{link.target.name}' in the virtual network '{link.target.parent.name}' of the resource group "
            f"'{link.target.group}'."
        )
    return errors.Invalid(
        "InvalidResourceReference",
        f"Resource {link.target} referenced by resource {resource.id} was not found. Please make sure that the referenced "
        f"resource exists, and that both resources are in the same region.{where}",
        target=link.field,
    )


def _apart(snapshot: Snapshot, resource: Resource, target: Resource) -> bool:
    if target.type not in _SAME_REGION or resource.type in _ANYWHERE:
        return False
    same = target.id.subscription.lower() == resource.id.subscription.lower()
    return not same or _region(snapshot, target) != _region(snapshot, resource)


def _region(snapshot: Snapshot, resource: Resource) -> str:
    """A subnet is where its network is, a pool where its cluster; the cluster of a compute where that says."""
    if resource.type == ml.COMPUTE:
        return companions.region(resource)
    if resource.type in (network.SUBNET, compute.AGENT_POOL):
        parent = snapshot.get(resource.id.parent)
        return parent.region if parent is not None else ""
    return resource.region


#: What is said when a resource of a type cannot go, by lower-case type.
_IN_USE: Mapping[str, tuple[str, str]] = {
    network.SUBNET: (
        "InUseSubnetCannotBeDeleted",
        "Subnet {name} is in use by {first} and cannot be deleted. In order to delete the subnet, delete all the resources "
        "within the subnet. See aka.ms/deletesubnet.",
    ),
    network.SECURITY_GROUP: (
        "InUseNetworkSecurityGroupCannotBeDeleted",
        "Network security group {id} cannot be deleted because it is in use by the following resources: {all}. In order to "
        "delete the Network security group, remove the association with the resource(s). See aka.ms/deletensg.",
    ),
    compute.MANAGED_CLUSTER: (
        "ClusterInUse",
        "The managed cluster '{name}' cannot be deleted because it is attached to a workspace as {all}. Detach it first.",
    ),
    balancing.PUBLIC_ADDRESS: (
        "PublicIPAddressCannotBeDeleted",
        "Public IP address {id} can not be deleted since it is still allocated to resource {first}. In order to delete the "
        "public IP, disassociate/detach the Public IP address from the resource.",
    ),
    balancing.BALANCER: (
        "LoadBalancerInUseByNetworkInterface",
        "Load balancer {id} cannot be deleted because these interfaces are in its pools: {all}. Take them out first.",
    ),
    ml.COMPUTE: (
        "ComputeInUse",
        "The compute '{name}' cannot be deleted because these services run on it: {all}. Delete the services first.",
    ),
    serving.MODEL_VERSION: (
        "ModelInUse",
        "The model {id} cannot be deleted because these services use it: {all}. Delete or update the services first.",
    ),
    serving.ASSET: ("AssetInUse", "The asset '{name}' cannot be deleted because these models refer to it: {all}."),
}


def nobody_uses(snapshot: Snapshot, resource: Resource) -> Iterator[errors.Problem]:
    """What is in use stays. Users that are on their way out do not count."""
    if resource.type not in _IN_USE:
        return
    users = {str(user.id) for user, _ in links.users(snapshot, resource.type, frozenset({resource.key}))}
    if resource.type == network.SUBNET:
        users |= {str(owner.id) for owner in _frontends(snapshot, resource)}
    found = sorted(users)
    if found:
        code, wording = _IN_USE[resource.type]
        message = wording.format(name=resource.id.name, id=resource.id, first=found[0], all=", ".join(found))
        of_network = resource.type.startswith("microsoft.network/")
        yield (errors.Invalid if of_network else errors.Conflict)(code, message, target=str(resource.id))


def _frontends(snapshot: Snapshot, subnet: Resource) -> Iterator[Resource]:
    """The computes whose internal frontend is in a subnet, however they name it."""
    for owner in places.alive(snapshot, ml.COMPUTE):
        cluster = clusters.cluster_of(snapshot, owner)
        internal = cluster is not None and clusters.aks(owner).internal
        if cluster is not None and internal and clusters.balancer_subnet(snapshot, owner, cluster) == subnet.id:
            yield owner


def owner_keeps_its_own(snapshot: Snapshot, resource: Resource) -> Iterator[errors.Problem]:
    """What a cluster or a private endpoint made for itself goes with it, and not before."""
    owner = snapshot.get(resource.managed_by) if resource.managed_by else None
    if owner is None or owner.state is ProvisioningState.DELETING:
        return
    if owner.type in (ml.COMPUTE, compute.MANAGED_CLUSTER):
        kind = "compute" if owner.type == ml.COMPUTE else "cluster"
        yield errors.Forbidden(
            "DenyAssignmentAuthorizationFailed",
            f"The resource {resource.id} belongs to the {kind} '{owner.id.name}' and goes with it. Delete the {kind} {owner.id}.",
            target=str(resource.id),
        )
    if owner.type == private_link.PRIVATE_ENDPOINT and resource.type == network.INTERFACE:
        yield errors.Invalid(
            "NicInUseWithPrivateEndpoint",
            f"Network Interface {resource.id} is used by existing private endpoint {owner.id} and cannot be deleted. Delete the "
            "private endpoint.",
            target=str(resource.id),
        )
